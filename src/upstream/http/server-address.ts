import { isIP } from 'node:net';
import type { Address } from './address.ts';

/**
 * Of several addresses of a name, each but the last is given so long. Node's 250 ms are less than it takes to other
 * continents and back: there eight addresses had to fail before one was waited for.
 */
export const ATTEMPT_MS = 500;

/** What is spoken within TLS, by probes, too: a server that does not speak it is no use, whatever else it answers. */
export const RELAYS_PROTOCOLS = ['http/1.1'];

/** Where connections of the relay go. */
export interface ServerAddress {
  /** A name or an IP address. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** What the server's certificate is checked against, and is asked for; empty for a bare IP address. */
  readonly tlsName: string;
}

/** @param address Where to connect to, if not where the URL's name points; the name is still what TLS goes by. */
export function serverAddress(origin: string, address: Address | undefined): ServerAddress {
  const url = new URL(origin);
  const isTls = url.protocol === 'https:';
  const name = url.hostname.replace(/^\[|\]$/g, '');
  return {
    host: address?.host ?? name,
    port: address?.port ?? (Number(url.port) || (isTls ? 443 : 80)),
    isTls,
    tlsName: isIP(name) === 0 ? name : '',
  };
}
