import { resolveSrv } from 'node:dns/promises';
import type { Address } from './http/address.ts';
import { upstreamNames } from './http/name-lookup.ts';

/** Asks for names; tests bring their own. Both throw where there is no answer. */
export interface Resolver {
  /** IPv4 and IPv6 addresses of a host. */
  addresses(host: string): Promise<readonly string[]>;
  /** SRV records. */
  services(name: string): Promise<readonly ServiceRecord[]>;
}

export interface ServiceRecord {
  readonly host: string;
  readonly port: number;
  /** Lower ones are to be used first. */
  readonly priority: number;
}

/** Addresses come the system's way, so that /etc/hosts and search domains count; SRV records come from DNS. */
export const SYSTEM_RESOLVER: Resolver = {
  async addresses(host) {
    return (await upstreamNames.ask(host)).map(({ address }) => address);
  },
  async services(name) {
    return (await resolveSrv(name)).map(({ name: host, port, priority }) => ({ host, port, priority }));
  },
};

/**
 * Where a name's servers are, sorted and without duplicates. Of SRV records those of the first priority count of which
 * there is a host; weights do not count, since requests are spread by load.
 *
 * @throws Error where there is no answer, or an empty one.
 */
export async function resolveMembers(
  target: { readonly type: 'dns' | 'srv'; readonly name: string; readonly port: number },
  resolver: Resolver,
): Promise<readonly Address[]> {
  const { type, name, port } = target;
  const services =
    type === 'srv' ? (await resolver.services(name)).filter(isThere) : [{ host: name, port, priority: 0 }];
  const priorities = [...new Set(services.map(({ priority }) => priority))].sort((a, b) => a - b);
  let gone = new Error(`${name} has no address`);
  for (const wanted of priorities) {
    const answers = await Promise.allSettled(
      services
        .filter(({ priority }) => priority === wanted)
        .map(async ({ host, port }) =>
          (await resolver.addresses(host)).map((address) => ({ host: address, port })),
        ),
    );
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const failed = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [answer.reason as Error] : [],
    );
    const unknown = failed.find((error) => !isNoSuchName(error));
    if (unknown !== undefined) throw unknown;
    if (found.length > 0) return sorted(found);
    gone = failed[0] ?? gone;
  }
  throw gone;
}

/** Without a host, or with `.` for one, a record says that there is no such service (RFC 2782); port 0 is none. */
function isThere({ host, port }: ServiceRecord): boolean {
  return host !== '' && host !== '.' && port > 0;
}

function sorted(found: readonly Address[]): readonly Address[] {
  const byText = new Map(found.map((address) => [`${address.host} ${address.port}`, address]));
  return [...byText.keys()].sort().map((text) => byText.get(text)!);
}

/** That is an answer: who is gone does not keep the others from being found. */
function isNoSuchName({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ENOTFOUND';
}
