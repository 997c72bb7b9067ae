import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { performance } from 'node:perf_hooks';

type Addresses = readonly LookupAddress[];
type Ask = (host: string) => Promise<Addresses>;

/** The system is asked in libuv's threads, of which there are four; files need them, too. */
const MAX_AT_ONCE = 3;
/** So young an answer serves further connections. */
const FRESH_MS = 1_000;
/** So long is an answer waited for where there is an older one. */
const PATIENCE_MS = 200;

/**
 * What the names of upstreams mean, by the system's word (/etc/hosts and search domains count). A name server that
 * does not answer keeps each who asks it for seconds, and its thread: so that nobody else's connections wait for
 * that, a name is asked for once at a time, and few names together. Where an answer is late or fails, the last one
 * counts on.
 */
export class NameLookup {
  readonly #ask: Ask;
  readonly #now: () => number;
  readonly #known = new Map<string, { readonly addresses: Addresses; readonly atMs: number }>();
  readonly #asked = new Map<string, { readonly answer: Promise<Addresses>; readonly sinceMs: number }>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(ask: Ask = (host) => lookup(host, { all: true }), now = () => performance.now()) {
    this.#ask = ask;
    this.#now = now;
  }

  /** A new answer. @throws Error where there is none. */
  ask(host: string): Promise<Addresses> {
    const asked = this.#asked.get(host);
    if (asked !== undefined) return asked.answer;
    const answer = this.#inTurn(host).then(
      (addresses) => {
        this.#asked.delete(host);
        this.#known.set(host, { addresses, atMs: this.#now() });
        return addresses;
      },
      (error: unknown) => {
        this.#asked.delete(host);
        throw error;
      },
    );
    this.#asked.set(host, { answer, sinceMs: this.#now() });
    return answer;
  }

  /** The answer to go by. @throws Error where there is none, and never was. */
  async addresses(host: string): Promise<Addresses> {
    const known = this.#known.get(host);
    if (known === undefined) return await this.ask(host);
    const { addresses, atMs } = known;
    if (this.#now() - atMs < FRESH_MS) return addresses;
    const answer = this.ask(host).catch(() => addresses);
    const leftMs = this.#asked.get(host)!.sinceMs + PATIENCE_MS - this.#now();
    if (leftMs <= 0) return addresses;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Addresses>((resolve) => {
      timer = setTimeout(() => resolve(addresses), leftMs);
    });
    return await Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  /** It is being asked for, and was never told. */
  awaits(host: string): boolean {
    return this.#asked.has(host) && !this.#known.has(host);
  }

  /** For sockets. */
  readonly lookup: LookupFunction = (host, { all }, callback) => {
    this.addresses(host).then(
      (found) => {
        const [{ address, family } = { address: '', family: 0 }] = found;
        if (all) callback(null, [...found]);
        else callback(null, address, family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };

  async #inTurn(host: string): Promise<Addresses> {
    if (this.#running >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await this.#ask(host);
    } finally {
      // Its place goes to the next in line.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

/** Of this process: it is its threads that are few. */
export const upstreamNames = new NameLookup();
