import { isIPv6 } from 'node:net';
import { buildConnector, type Client } from 'undici';

/** Where connections go, whatever name the URL has. */
export interface Address {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

export function addressText({ host, port }: Address): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/**
 * How undici opens connections. With an address the URL's name is not looked up; it still is what `Host` says and what the
 * server's certificate is checked against.
 */
export function connectOption(
  timeoutMs: number,
  address: Address | undefined,
): NonNullable<Client.Options['connect']> {
  if (address === undefined) return { timeout: timeoutMs };
  const connect = buildConnector({ timeout: timeoutMs, allowH2: false });
  return (options, callback) =>
    connect({ ...options, hostname: address.host, port: String(address.port) }, callback);
}
