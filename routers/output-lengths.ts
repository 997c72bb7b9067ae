import { RecentlyUsed } from './recently-used.ts';

const FIRST_GUESS = 256;
/** That are remembered, of those that were seen last. */
const TENANTS = 5_000;
const STEP = 0.1;
/** Lengths of replies are spread over orders of magnitude; a little above the median lies their mean. */
const QUANTILE = 0.6;

interface Length {
  log: number;
}

/** How long replies are, by tenant: a quantile that moves a little with every reply (stochastic approximation on the log). */
export class OutputLengths {
  readonly #all: Length = { log: Math.log(FIRST_GUESS) };
  readonly #tenants = new RecentlyUsed<Length>(TENANTS);

  expect(tenant: string | undefined, maxTokens: number | undefined): number {
    const { log } = (tenant === undefined ? undefined : this.#tenants.peek(tenant)) ?? this.#all;
    return Math.min(Math.exp(log), maxTokens ?? Number.POSITIVE_INFINITY);
  }

  observe(tenant: string | undefined, tokens: number): void {
    move(this.#all, tokens);
    if (tenant !== undefined && tenant !== '')
      move(
        this.#tenants.use(tenant, () => ({ ...this.#all })),
        tokens,
      );
  }
}

function move(length: Length, tokens: number): void {
  const above = tokens > Math.exp(length.log);
  length.log = Math.max(0, length.log + STEP * (above ? QUANTILE : QUANTILE - 1));
}
