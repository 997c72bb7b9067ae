const SHARE = 0.05;
const MAX_TOKENS = 10;
const MAX_SATURATION = 0.7;

/** How many requests may be sent twice: a twentieth of them, and none while the fleet is busy. */
export class HedgeBucket {
  #tokens = 0;
  won = 0;
  lost = 0;

  /** Each request earns a share of a hedge. */
  earn(): void {
    this.#tokens = Math.min(MAX_TOKENS, this.#tokens + SHARE);
  }

  get available(): number {
    // Twenty times a twentieth is a little less than one.
    return Math.floor(this.#tokens + 1e-9);
  }

  /** @param saturation Requests in flight against what the fleet takes. */
  allows(saturation: number): boolean {
    return this.available > 0 && saturation <= MAX_SATURATION;
  }

  spend(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }
}
