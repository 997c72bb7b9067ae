const FIRST_GUESS = 256;
const MAX_TENANTS = 10_000;
const STEP = 0.1;
/** Lengths of replies are spread over orders of magnitude; a little above the median lies their mean. */
const QUANTILE = 0.6;

/** How long replies are, by tenant: a quantile that moves a little with every reply (stochastic approximation on the log). */
export class OutputLengths {
  readonly #logs = new Map<string, number>();

  expect(tenant: string | undefined, maxTokens: number | undefined): number {
    const log = this.#logs.get(tenant ?? '') ?? this.#logs.get('') ?? Math.log(FIRST_GUESS);
    return Math.min(Math.exp(log), maxTokens ?? Number.POSITIVE_INFINITY);
  }

  observe(tenant: string | undefined, tokens: number): void {
    this.#move('', tokens);
    if (tenant !== undefined && tenant !== '') this.#move(tenant, tokens);
  }

  #move(tenant: string, tokens: number): void {
    const log = this.#logs.get(tenant) ?? this.#logs.get('') ?? Math.log(FIRST_GUESS);
    const above = tokens > Math.exp(log);
    // Last come those that were seen last. All together are always there.
    if (tenant !== '') this.#logs.delete(tenant);
    this.#logs.set(tenant, Math.max(0, log + STEP * (above ? QUANTILE : QUANTILE - 1)));
    if (this.#logs.size <= MAX_TENANTS) return;
    for (const oldest of this.#logs.keys()) {
      if (oldest === '') continue;
      this.#logs.delete(oldest);
      break;
    }
  }
}
