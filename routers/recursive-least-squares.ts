/**
 * Linear regression that learns one observation at a time and forgets old ones exponentially (Haykin, Adaptive Filter
 * Theory, ch. 10), with coefficients kept at or above zero: times do not fall with work.
 */
export class NonNegativeRls {
  readonly coefficients: number[];
  readonly #spread: readonly number[];
  readonly #forgetting: number;
  /** Symmetric, row by row. */
  readonly #covariance: number[];
  readonly #gain: number[];

  /**
   * @param prior Coefficients before anything was observed.
   * @param spread How far from the prior each may well be; sets how fast the first observations are believed.
   */
  constructor(prior: readonly number[], spread: readonly number[], forgetting: number) {
    const size = prior.length;
    this.coefficients = [...prior];
    this.#spread = spread;
    this.#forgetting = forgetting;
    this.#covariance = new Array<number>(size * size).fill(0);
    for (let i = 0; i < size; i += 1) this.#covariance[i * size + i] = spread[i]! ** 2;
    this.#gain = new Array<number>(size).fill(0);
  }

  /** @param weight Of the error: 1 / expected value makes errors relative. */
  observe(features: readonly number[], value: number, weight: number): void {
    const { coefficients } = this;
    const size = coefficients.length;
    const covariance = this.#covariance;
    const gain = this.#gain;
    let denominator = this.#forgetting;
    let error = value * weight;
    for (let i = 0; i < size; i += 1) {
      let sum = 0;
      for (let j = 0; j < size; j += 1) sum += covariance[i * size + j]! * features[j]! * weight;
      gain[i] = sum;
      denominator += features[i]! * weight * sum;
      error -= coefficients[i]! * features[i]! * weight;
    }
    for (let i = 0; i < size; i += 1) {
      coefficients[i] = Math.max(0, coefficients[i]! + (gain[i]! / denominator) * error);
      for (let j = 0; j < size; j += 1) {
        const at = i * size + j;
        covariance[at] = (covariance[at]! - (gain[i]! * gain[j]!) / denominator) / this.#forgetting;
      }
    }
    this.#bound();
  }

  /** Directions in which nothing varies would otherwise grow without end, and jump at the first observation that does. */
  #bound(): void {
    const size = this.coefficients.length;
    for (let i = 0; i < size; i += 1) {
      const most = this.#spread[i]! ** 2;
      const variance = this.#covariance[i * size + i]!;
      if (variance <= most) continue;
      const shrink = Math.sqrt(most / variance);
      for (let j = 0; j < size; j += 1) {
        this.#covariance[i * size + j]! *= shrink;
        this.#covariance[j * size + i]! *= shrink;
      }
    }
  }
}
