/** As long as no reply has been seen. */
const UNKNOWN_MS = 30_000;
const LEARNING_RATE = 0.05;
/** Of what was most, so much is forgotten with each reply that is less. */
const FORGETTING_RATE = 0.002;

/** How long replies of a model were of late, in time and in tokens: what will have to be paid for others, as far as anybody can tell. */
export class RecentReplies {
  #seen = false;
  #usualMs = UNKNOWN_MS;
  #mostMs = UNKNOWN_MS;
  #mostTokens = 0;

  /** Of a backend's work. */
  get usualMs(): number {
    return this.#usualMs;
  }

  get mostMs(): number {
    return this.#mostMs;
  }

  /** Of all choices together. */
  get mostTokens(): number {
    return this.#mostTokens;
  }

  observe(tokens: number, workedMs: number): void {
    if (!this.#seen) this.#usualMs = this.#mostMs = workedMs;
    this.#seen = true;
    this.#usualMs += (workedMs - this.#usualMs) * LEARNING_RATE;
    this.#mostMs = mostOf(this.#mostMs, workedMs);
    this.#mostTokens = Math.ceil(mostOf(this.#mostTokens, tokens));
  }
}

function mostOf(before: number, now: number): number {
  return now >= before ? now : before + (now - before) * FORGETTING_RATE;
}
