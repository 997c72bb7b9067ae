import { isIPv6 } from 'node:net';

/** Where connections go, whatever name the URL has. */
export interface Address {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

export function addressText({ host, port }: Address): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
