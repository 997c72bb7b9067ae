/** Classes of age per doubling. */
const PER_OCTAVE = 2;
const CLASSES = 64;
/** How far an observation moves its class, once it has some … */
const STEP = 0.05;
/** … and as many observations as this weighs the belief before the first. */
const PRIOR = 3;

/**
 * How much of what a memory was given is likely to be there still, by how much it was given since: a step for one that loses what was
 * used least recently, a slope for one that loses anything, and early for one that others use too. Believed to be all until it is seen.
 */
export class Survival {
  readonly #kept = new Float64Array(CLASSES).fill(1);
  readonly #weights = new Float64Array(CLASSES).fill(PRIOR);

  at(age: number): number {
    return this.#kept[classOf(age)]!;
  }

  /** @param kept Share that was there. */
  observe(age: number, kept: number): void {
    const at = classOf(age);
    this.#weights[at]! += 1;
    this.#kept[at]! += Math.max(STEP, 1 / this.#weights[at]!) * (kept - this.#kept[at]!);
  }
}

function classOf(age: number): number {
  return Math.min(CLASSES - 1, Math.floor(PER_OCTAVE * Math.log2(1 + Math.max(0, age))));
}
