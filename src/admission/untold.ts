import { keysOf } from './redis-decision.ts';
import type { Settlements } from './settlements.ts';
import type { Party } from './subjects.ts';

interface Sum {
  readonly party: Party;
  readonly epoch: string;
  nanoUsd: number;
}

/**
 * What was spent by those that no limit held for. Redis is not asked about them, but has to know of it: a budget may be set later, or set
 * again, and all gateways give out of that together. So sums are told now and then.
 */
export class Untold {
  readonly #sums = new Map<string, Sum>();

  /** @param epoch Of the counters in Redis. What was spent in one that is over is the ledger's to tell. */
  add(parties: readonly Party[], nanoUsd: number, epoch: string): void {
    if (nanoUsd === 0) return;
    for (const party of parties) {
      const name = `${party.kind}:${party.id}`;
      const sum = this.#sums.get(name);
      if (sum?.epoch === epoch) sum.nanoUsd += nanoUsd;
      else this.#sums.set(name, { party, epoch, nanoUsd });
    }
  }

  tell(settlements: Settlements): void {
    for (const { party, epoch, nanoUsd } of this.#sums.values())
      settlements.push(
        '',
        [{ keys: keysOf(party), leased: false, taken: undefined }],
        { tokens: 0, nanoUsd },
        epoch,
      );
    this.#sums.clear();
  }
}
