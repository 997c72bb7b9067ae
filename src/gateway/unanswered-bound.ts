const FIRST_GUESS = 2;
/** Of what there may be, calm among so many says that there may be more. */
const NEARLY_ALL = 0.75;
const MAX_CUT = 0.5;
const MIN_CUT = 0.9;
const FIRST_GROWTH = 0.25;
/** Growth per calm sample, once it has been too much. Where a late one costs a fifth, some 2 % of all are late. */
const GROWTH = 0.005;
/** A backend that is at others' prompts for so much of the time is hardly felt. */
const LEAST_OF_TIME = 0.04;
/** Of those that came beside others' prompts, so many have to be late: one alone may have been so for something else. */
const LATE_SHARE = 0.2;
const SHARE_WEIGHT = 1 / 8;
/** Nobody is kept out for longer between two prompts. */
const MAX_PAUSE_MS = 2_000;

/**
 * How many prompts of those that have much may be at a backend without an answer. Where prompts hold each other up, or the replies of others, that is
 * what others feel, however many replies run; where places are what there is too little of, whoever waits for one has no answer either.
 *
 * It grows by a quarter, or by one, as long as nobody was late, on the word of those that have much, too; then slowly. Below one it is a share of the time: after a prompt there is a pause, so that most that come find
 * none at work.
 */
export class UnansweredBound {
  readonly #now: () => number;
  #at = FIRST_GUESS;
  #everTooMuch = false;
  /** Of those that came beside some of these. */
  #lateShare = 0;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #tookMs = 0;
  #changedAtMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  get at(): number {
    return this.#at;
  }

  /** Carefully, with what is known. */
  restart(): void {
    this.#at = Math.min(this.#at, FIRST_GUESS);
  }

  /** One more may be there, beside so many. */
  allows(unanswered: number): boolean {
    if (this.#at >= 1) return unanswered < Math.floor(this.#at);
    const pauseMs = Math.min(MAX_PAUSE_MS, this.#tookMs * (1 / this.#at - 1));
    return unanswered === 0 && this.#now() - this.#answeredAtMs >= pauseMs;
  }

  /** One of those that have much has its answer. */
  answered(tookMs: number): void {
    this.#answeredAtMs = this.#now();
    this.#tookMs = tookMs;
  }

  /**
   * Of a request that found so many there, itself included where it is one of them.
   *
   * @param light It is none of those that have much.
   */
  calm(startedAtMs: number, unanswered: number, light: boolean): void {
    if (light && unanswered > 0) this.#lateShare -= this.#lateShare * SHARE_WEIGHT;
    if (this.#at >= 1 && unanswered < this.#at * NEARLY_ALL) return;
    if (this.#everTooMuch) {
      if (light) this.#at *= 1 + GROWTH;
    } else if (startedAtMs > this.#changedAtMs) {
      this.#at += Math.max(1, this.#at * FIRST_GROWTH);
      this.#changedAtMs = this.#now();
    }
  }

  /**
   * @param factor What would be right against what was.
   * @param stream Its first token was late. With whole replies it is the number of them that counts.
   * @returns Whether less of it may help.
   */
  late(startedAtMs: number, unanswered: number, factor: number, stream: boolean): boolean {
    if (unanswered === 0) return false;
    this.#lateShare += (1 - this.#lateShare) * SHARE_WEIGHT;
    if (this.#lateShare < LATE_SHARE) return this.#at < 1;
    const least = stream ? LEAST_OF_TIME : 1;
    if (this.#at <= least) return this.#at < 1;
    if (startedAtMs < this.#changedAtMs) return true;
    this.#everTooMuch = true;
    this.#at = Math.max(least, Math.min(this.#at, unanswered) * Math.min(MIN_CUT, Math.max(MAX_CUT, factor)));
    this.#changedAtMs = this.#now();
    return true;
  }
}
