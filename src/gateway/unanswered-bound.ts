const FIRST_GUESS = 2;
/** Of what there may be, calm among so many says that there may be more. */
const NEARLY_ALL = 0.75;
const MAX_CUT = 0.5;
const MIN_CUT = 0.9;
/** Growth per calm sample, once it has been too much. */
const GROWTH = 0.005;

/**
 * How many prompts of those that have much may be at a backend without an answer. Where prompts hold each other up, or the replies of others, that is
 * what others feel, however many replies run; where places are what there is too little of, whoever waits for one has no answer either.
 *
 * It grows by one as long as nobody was late, then slowly.
 */
export class UnansweredBound {
  readonly #now: () => number;
  #at = FIRST_GUESS;
  #everTooMuch = false;
  #changedAtMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  get at(): number {
    return Math.floor(this.#at);
  }

  /** Of a request that found so many there, itself included where it is one of them. */
  calm(startedAtMs: number, unanswered: number): void {
    if (unanswered < this.#at * NEARLY_ALL) return;
    if (this.#everTooMuch) this.#at *= 1 + GROWTH;
    else if (startedAtMs > this.#changedAtMs) {
      this.#at += 1;
      this.#changedAtMs = this.#now();
    }
  }

  /** @param factor What would be right against what was. @returns Whether less of it may help. */
  late(startedAtMs: number, unanswered: number, factor: number): boolean {
    if (unanswered === 0 || this.at <= 1) return false;
    if (startedAtMs < this.#changedAtMs) return true;
    this.#everTooMuch = true;
    this.#at = Math.max(1, Math.min(this.#at, unanswered) * Math.min(MIN_CUT, Math.max(MAX_CUT, factor)));
    this.#changedAtMs = this.#now();
    return true;
  }
}
