import { type Address, addressText } from './http/address.ts';
import { serverAddress } from './http/server-address.ts';
import { type Resolver, resolveMembers } from './resolver.ts';
import { unresolvedUpstream } from './unresolved.ts';
import { createUpstream, type UpstreamBackend } from './upstream.ts';
import type { UpstreamOptions } from './upstream-options.ts';

export interface Discovery {
  /** Each address of the URL's host name is a server, or each target of its SRV records. */
  readonly type: 'dns' | 'srv';
  readonly intervalMs: number;
  /** The SRV records' name; default: the URL's host name. */
  readonly service?: string | undefined;
}

export interface UpstreamGroupOptions {
  readonly upstream: Omit<UpstreamOptions, 'address'>;
  /** Undefined: one server, at the URL. */
  readonly discovery: Discovery | undefined;
  readonly resolver: Resolver;
  /** Called when members have changed, with those that no longer are: they are to be closed once they have finished. */
  readonly onChange: (gone: readonly UpstreamBackend[]) => void;
}

/** The start of the gateway waits no longer than this for a first answer. */
const FIRST_ANSWER_MS = 2_000;

/**
 * The servers behind one upstream of the configuration. Where they are discovered, each has its own connections, breaker and
 * health, and is named `upstream@address:port`. An answer that fails or is empty changes nothing: the servers that
 * were known go on getting requests, and their breakers tell which of them live.
 */
export class UpstreamGroup {
  readonly name: string;
  /** Resolves once the members are known, cannot be found, or take too long. */
  readonly settled: Promise<void>;
  readonly #options: UpstreamGroupOptions;
  readonly #members = new Map<string, UpstreamBackend>();
  #placeholder: UpstreamBackend | undefined;
  #problem = '';
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: UpstreamGroupOptions) {
    this.#options = options;
    this.name = options.upstream.name;
    if (options.discovery === undefined) {
      this.#members.set(this.name, createUpstream(options.upstream));
      this.settled = Promise.resolve();
      return;
    }
    this.#placeholder = unresolvedUpstream(this.name, 'its address is not known yet');
    const late = new Promise<void>((resolve) => setTimeout(resolve, FIRST_ANSWER_MS).unref());
    this.settled = Promise.race([this.#follow(options.discovery), late]);
  }

  /** At least one. */
  get members(): readonly UpstreamBackend[] {
    return this.#placeholder === undefined ? [...this.#members.values()] : [this.#placeholder];
  }

  /** Membership is fixed from here on. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async close(): Promise<void> {
    this.stop();
    await Promise.all(this.members.map((member) => member.close()));
  }

  async #follow(discovery: Discovery): Promise<void> {
    await this.#resolve(discovery);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#follow(discovery), discovery.intervalMs).unref();
  }

  async #resolve({ type, service }: Discovery): Promise<void> {
    const { upstream, resolver, onChange } = this.#options;
    const { host, port } = serverAddress(upstream.url, undefined);
    const target = { type, name: service ?? host, port };
    try {
      const addresses = await resolveMembers(target, resolver);
      if (!this.#stopped) this.#become(addresses);
    } catch (error) {
      const problem = (error as Error).message;
      if (this.#stopped || problem === this.#problem) return;
      this.#problem = problem;
      if (this.#placeholder !== undefined) {
        this.#placeholder = unresolvedUpstream(this.name, problem);
        onChange([]);
      }
      this.#tell([], [], problem);
    }
  }

  /** As a whole or, where a new member cannot be made, not at all. */
  #become(addresses: readonly Address[]): void {
    const recovered = this.#problem !== '';
    this.#problem = '';
    const wanted = new Map(addresses.map((address) => [addressText(address), address]));
    const gone = [...this.#members].filter(([text]) => !wanted.has(text));
    const added = [...wanted].filter(([text]) => !this.#members.has(text));
    if (gone.length === 0 && added.length === 0) {
      if (recovered) this.#tell([], []);
      return;
    }
    const made = added.map(([text, address]) => {
      const name = `${this.name}@${text}`;
      return [text, createUpstream({ ...this.#options.upstream, name, address })] as const;
    });
    for (const [text] of gone) this.#members.delete(text);
    for (const [text, member] of made) this.#members.set(text, member);
    this.#placeholder = undefined;
    this.#tell(
      added.map(([text]) => text),
      gone.map(([text]) => text),
    );
    this.#options.onChange(gone.map(([, member]) => member));
  }

  #tell(added: readonly string[], removed: readonly string[], problem?: string): void {
    const { emit } = this.#options.upstream;
    emit({ type: 'upstream-members-changed', upstream: this.name, added, removed, problem });
  }
}
