/** Days and months are those of UTC, by their names: `2026-01-31` and `2026-01`. */
export interface Periods {
  readonly day: string;
  readonly month: string;
}

export function periodsOf(atMs: number): Periods {
  const day = new Date(atMs).toISOString().slice(0, 10);
  return { day, month: day.slice(0, 7) };
}

/** Of a row of the ledger: when, whose, on what, how much. */
export type Cost = readonly [
  atMs: number,
  organizationId: string,
  projectId: string,
  keyId: string,
  model: string,
  costNanoUsd: number,
];

/** What some rows add to a row of `spent`. */
export interface SpentSum {
  readonly day: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly keyId: string;
  readonly model: string;
  nanoUsd: number;
}

export const DAY_MS = 86_400_000;

/** Adds rows up by day, key and model. */
export class Spending {
  readonly #sums = new Map<string, SpentSum>();
  #day = '';
  #dayNumber = Number.NaN;

  add(...[atMs, organizationId, projectId, keyId, model, costNanoUsd]: Cost): void {
    if (costNanoUsd === 0) return;
    const dayNumber = Math.floor(atMs / DAY_MS);
    if (dayNumber !== this.#dayNumber) {
      this.#dayNumber = dayNumber;
      this.#day = periodsOf(atMs).day;
    }
    this.#sumOf(organizationId, projectId, keyId, model).nanoUsd += costNanoUsd;
  }

  /** Always in the same order, so that two that add them to locked rows never wait for each other. */
  get sums(): readonly SpentSum[] {
    return [...this.#sums].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
  }

  #sumOf(organizationId: string, projectId: string, keyId: string, model: string): SpentSum {
    const day = this.#day;
    const name = `${day} ${organizationId} ${projectId} ${keyId} ${model}`;
    let sum = this.#sums.get(name);
    if (sum === undefined) {
      sum = { day, organizationId, projectId, keyId, model, nanoUsd: 0 };
      this.#sums.set(name, sum);
    }
    return sum;
  }
}
