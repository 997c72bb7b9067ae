import type { ConcurrencyBounds } from '../core/backend.ts';

/** An uncongested backend answers within this many times what was predicted … */
const TOLERANCE = 2;
/** … and this much more, so that fast backends are not throttled for what nobody feels. */
const SLACK_MS = 200;
/** The duration of a whole reply depends on much besides congestion. */
const WHOLE_TOLERANCE = 6;
const WINDOW_SAMPLES = 16;
const WINDOW_MS = 500;
const MIN_SAMPLES = 3;
const SMOOTHING = 0.5;
const REFUSED_FACTOR = 0.9;

/**
 * How many requests a backend should have inside it: so many that it is busy, so few that they do not queue there, where
 * nobody can take them elsewhere. A gradient on observed against predicted latency, in the manner of Netflix's
 * concurrency-limits (Gradient2): when the median of a window exceeds its target, the limit shrinks in proportion; while
 * the limit is what holds requests back and the target is met, it grows by its square root.
 */
export class ConcurrencyLimit {
  readonly #max: number;
  readonly #now: () => number;
  #limit: number;
  #inFlight = 0;
  #windowSinceMs = 0;
  /** observed / target */
  #window: number[] = [];
  #heldBack = false;
  /** What began before the last cut tells of the time before it. */
  #cutAtMs = Number.NEGATIVE_INFINITY;

  constructor({ initial, max }: ConcurrencyBounds, now: () => number) {
    this.#max = max;
    this.#limit = Math.min(initial, max);
    this.#now = now;
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get free(): boolean {
    return this.#inFlight < this.limit;
  }

  take(): void {
    this.#inFlight += 1;
    if (!this.free) this.#heldBack = true;
  }

  give(): void {
    this.#inFlight -= 1;
  }

  /** A stream began, or a whole reply came, so long after it was asked for. */
  answered(
    kind: 'first-token' | 'whole',
    observedMs: number,
    predictedMs: number,
    startedAtMs: number,
  ): void {
    if (startedAtMs < this.#cutAtMs) return;
    const target = predictedMs * (kind === 'whole' ? WHOLE_TOLERANCE : TOLERANCE) + SLACK_MS;
    if (this.#window.length === 0) this.#windowSinceMs = this.#now();
    this.#window.push(observedMs / target);
    const ageMs = this.#now() - this.#windowSinceMs;
    const enough = this.#window.length >= WINDOW_SAMPLES;
    if (enough || (ageMs >= WINDOW_MS && this.#window.length >= MIN_SAMPLES)) this.#adapt();
  }

  /** The backend said that it has too much to do. */
  refused(startedAtMs: number): void {
    if (startedAtMs < this.#cutAtMs) return;
    this.#cut(Math.max(1, Math.min(this.#limit, this.#inFlight) * REFUSED_FACTOR));
  }

  #adapt(): void {
    const median = this.#window.sort((a, b) => a - b)[this.#window.length >> 1] ?? 1;
    const gradient = Math.max(0.5, Math.min(1, 1 / median));
    if (gradient < 1) this.#cut(this.#limit * (1 - SMOOTHING + SMOOTHING * gradient));
    else if (this.#heldBack) this.#limit = Math.min(this.#max, this.#limit + this.#growth);
    this.#startWindow();
  }

  /** Until it has been too much once, nobody knows where too much begins (TCP's slow start). */
  get #growth(): number {
    const everCut = this.#cutAtMs !== Number.NEGATIVE_INFINITY;
    return everCut ? Math.sqrt(this.#limit) : this.#limit;
  }

  #cut(limit: number): void {
    this.#limit = Math.max(1, limit);
    this.#cutAtMs = this.#now();
    this.#startWindow();
  }

  #startWindow(): void {
    this.#window = [];
    this.#heldBack = !this.free;
  }
}
