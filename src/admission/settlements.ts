import type { Used } from './subject.ts';

/** One subject of a reservation, as Redis has to hear of it. */
export interface SettledLine {
  readonly keys: readonly [hash: string, leases: string];
  /** Whether it has a lease there, for its concurrency or its money. */
  readonly leased: boolean;
  /** What Redis holds of its tokens, and where that ends; nothing where it was not asked. Undefined: they do not count. */
  readonly taken: { readonly tokens: number; readonly end: string } | undefined;
}

interface Settled {
  readonly number: number;
  readonly lease: string;
  readonly lines: readonly SettledLine[];
  readonly used: Used;
  readonly epoch: string;
}

export interface SettlementsOptions {
  /** Resolves once Redis has it, rejects if that is not known. */
  readonly send: (keys: readonly string[], args: readonly string[]) => Promise<unknown>;
  /** Whether there is any point in sending. */
  readonly sends: () => boolean;
}

/** Taken by Redis in one step: a millisecond at most. */
const BATCH = 50;
/** Kept while Redis is away. What is dropped is known to the ledger, and comes back with its totals. */
const MOST = 20_000;
/** After a batch has failed this often while others are answered, there is something in it that Redis cannot take. */
const TRIES = 5;

/** Sends settlements to Redis in order, some at a time, and again until they are acknowledged. Nobody waits for that. */
export class Settlements {
  readonly #options: SettlementsOptions;
  #waiting: Settled[] = [];
  #sending: Promise<void> | undefined;
  #last = 0;
  #lost = 0;

  constructor(options: SettlementsOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get lost(): number {
    return this.#lost;
  }

  /** @param epoch Of the counters in Redis, as far as is known. */
  push(lease: string, lines: readonly SettledLine[], used: Used, epoch: string): void {
    this.#last += 1;
    this.#waiting.push({ number: this.#last, lease, lines, used, epoch });
    if (this.#waiting.length > MOST) {
      this.#waiting.shift();
      this.#lost += 1;
    }
    this.flush();
  }

  /** Resolves once nothing waits, or there is no point in sending. */
  flush(): Promise<void> {
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async #send(): Promise<void> {
    // What is settled in the same turn goes together.
    await Promise.resolve();
    let failures = 0;
    while (this.#waiting.length > 0 && this.#options.sends()) {
      const batch = this.#waiting.slice(0, BATCH);
      try {
        await this.#options.send(keysOf(batch), argsOf(batch));
      } catch {
        failures += 1;
        if (failures < TRIES) continue;
        this.#lost += batch.length;
      }
      failures = 0;
      const taken = batch.at(-1)!.number;
      const from = this.#waiting.findIndex(({ number }) => number > taken);
      this.#waiting.splice(0, from < 0 ? this.#waiting.length : from);
    }
  }
}

function keysOf(batch: readonly Settled[]): string[] {
  return batch.flatMap(({ lines }) => lines.flatMap(({ keys }) => keys));
}

function argsOf(batch: readonly Settled[]): string[] {
  return batch.flatMap(({ number, lease, lines, used, epoch }) =>
    lines.flatMap(({ taken }) => [
      `${number}`,
      lease,
      `${taken?.tokens ?? ''}`,
      taken?.end ?? '',
      `${used.tokens}`,
      `${used.nanoUsd}`,
      epoch,
    ]),
  );
}
