import type { Ledger } from './ledger/ledger.ts';
import type { LedgerReader } from './ledger/ledger-reader.ts';
import { type SpentTotals, spentTotals } from './ledger/spent.ts';
import type { LateDatabase } from './store/late-database.ts';

export interface PastSpendingOptions {
  readonly database: LateDatabase;
  readonly ledger: Pick<Ledger, 'flush'>;
  readonly reader: Pick<LedgerReader, 'spentTotals'>;
}

/** Reads what the ledger has. What a process that was killed had only written down is brought into it first: that is spent, too. */
export class PastSpending {
  readonly #options: PastSpendingOptions;
  #takenOver: Promise<string | undefined>;
  #isServing = false;

  constructor(options: PastSpendingOptions) {
    this.#options = options;
    this.#takenOver = options.ledger.flush();
  }

  /** From now on nobody may be held up: SQLite works in the thread that asks it. Until then no other one need be started. */
  servingBegins(): void {
    this.#isServing = true;
  }

  /** @throws Error that says why it cannot be read */
  async totals(atMs: number): Promise<SpentTotals> {
    const { database, ledger, reader } = this.#options;
    const problem = await this.#takenOver;
    if (problem !== undefined) {
      this.#takenOver = ledger.flush();
      throw new Error(problem);
    }
    return await (this.#isServing ? reader.spentTotals(atMs) : spentTotals(database.get(), atMs));
  }
}
