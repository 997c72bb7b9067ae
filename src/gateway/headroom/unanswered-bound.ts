const FIRST_GUESS = 2;
/** Calm among this share of what there may be says that there may be more. */
const NEARLY_ALL = 0.75;
const MAX_CUT = 0.5;
const MIN_CUT = 0.9;
const FIRST_GROWTH = 0.25;
/** Growth per calm request, once it has been too much. As a late one costs a fifth, some 2 % of all are late. */
const GROWTH = 0.005;
/** Heavy tenants' prompts that take this share of the time are hardly felt. */
const LEAST_OF_TIME = 0.04;
/** Of the requests that came beside such prompts, this share has to be late: a single one may have had another reason. */
const LATE_SHARE = 0.2;
const SHARE_WEIGHT = 1 / 8;
/** Nobody is kept out for longer between two prompts. */
const MAX_PAUSE_MS = 2_000;

/**
 * How many prompts of heavy tenants (see `Headroom`) may be at a backend without an answer. Where prompts hold up
 * each other, or the replies of others, that is what others feel, however many replies run; where places are scarce,
 * whoever waits for one is without an answer, too.
 *
 * It grows by a quarter, or by one, until somebody is late, also on the word of heavy tenants; after that slowly.
 * Below one it is a share of the time: after each prompt there is a pause, so that most that come find none being
 * worked on.
 */
export class UnansweredBound {
  readonly #now: () => number;
  #at = FIRST_GUESS;
  #everTooMuch = false;
  /** The share of late ones among those that came beside such prompts. */
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

  /** Begins carefully again, and keeps what it knows. */
  restart(): void {
    this.#at = Math.min(this.#at, FIRST_GUESS);
  }

  /** Whether one more may come to so many. */
  allows(unanswered: number): boolean {
    if (this.#at >= 1) return unanswered < Math.floor(this.#at);
    const pauseMs = Math.min(MAX_PAUSE_MS, this.#tookMs * (1 / this.#at - 1));
    return unanswered === 0 && this.#now() - this.#answeredAtMs >= pauseMs;
  }

  /** A heavy tenant's prompt has its answer. */
  answered(tookMs: number): void {
    this.#answeredAtMs = this.#now();
    this.#tookMs = tookMs;
  }

  /**
   * A request was in time that found so many there, itself included if it is one of them.
   *
   * @param light It is a light tenant's.
   */
  calm(startedAtMs: number, unanswered: number, light: boolean): void {
    if (light && unanswered > 0) this.#lateShare -= this.#lateShare * SHARE_WEIGHT;
    if (this.#at >= 1 && unanswered < Math.floor(this.#at) * NEARLY_ALL) return;
    if (this.#everTooMuch) {
      if (light) this.#at *= 1 + GROWTH;
    } else if (startedAtMs > this.#changedAtMs) {
      this.#at += Math.max(1, this.#at * FIRST_GROWTH);
      this.#changedAtMs = this.#now();
    }
  }

  /**
   * @param factor How long it may take, over how long it took.
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
