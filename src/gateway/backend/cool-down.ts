import type { AppError } from '../../core/error.ts';

/** For a backend that wants to be left alone but does not say for how long. */
const DEFAULT_MS = 1_000;
/** A refused key is not mended by asking again soon. */
const REFUSED_KEY_MS = 10_000;
const MAX_MS = 60_000;

/**
 * A backend that said 429, or when to come back, or that our key is no good, is left alone for a while: others are asked
 * first, and nothing is retried there.
 */
export class CoolDown {
  readonly #now: () => number;
  #untilMs = Number.NEGATIVE_INFINITY;
  #refusedAtMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  get leftMs(): number {
    return this.#untilMs === Number.NEGATIVE_INFINITY ? 0 : Math.max(0, this.#untilMs - this.#now());
  }

  /** An answer to what was sent before the backend asked for quiet does not take that back. */
  answered(startedAtMs: number): void {
    if (startedAtMs >= this.#refusedAtMs) this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** The backend's latest word counts. */
  failed({ code, retryAfterMs }: AppError): void {
    const forMs =
      code === 'upstream_refused'
        ? REFUSED_KEY_MS
        : (retryAfterMs ?? (code === 'rate_limit_exceeded' ? DEFAULT_MS : undefined));
    if (forMs === undefined) return;
    this.#refusedAtMs = this.#now();
    this.#untilMs = this.#refusedAtMs + Math.min(forMs, MAX_MS);
  }
}
