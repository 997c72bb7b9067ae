import type { BackendHealth } from '../../core/backend.ts';
import type { Emit } from '../../core/event.ts';
import { FailureRate } from './failure-rate.ts';

const FAILURES_TO_OPEN = 5;
const COOL_DOWN_MS = 5_000;
const MAX_COOL_DOWN_MS = 60_000;
/** Half-open: at most so many requests try it, each once the one before it has gone unanswered for `TRIAL_SPACING_MS`. */
const MAX_TRIALS = 3;
const TRIAL_SPACING_MS = 1_000;
/** Probe failures in a row that mean something. */
const PROBE_FAILURES_TO_OPEN = 2;
/** A probe's failure says nothing while real requests succeed. */
const FRESH_SUCCESS_MS = 20_000;
/** An upstream that has begun a reply within this time answers others. */
const FRESH_ANSWER_MS = 1_000;

/**
 * `unreachable`: no connection came about. `unavailable`: a 503. `late`: nothing came in time. `neutral`: the end says nothing
 * about the upstream (4xx, the client left).
 */
export type CallOutcome = 'ok' | 'failed' | 'unreachable' | 'unavailable' | 'late' | 'neutral';

/** One request, as far as health is concerned. */
export interface HealthCall {
  /** The first byte of a good reply is there. */
  answered(): void;
  /** Only the first call counts. */
  end(outcome: CallOutcome, detail?: string): void;
}

export interface ProbeFailure {
  readonly detail: string;
  /** No answer in time, or a 5xx: a busy upstream may do that as well as a dead one. */
  readonly mayBeBusy: boolean;
}

/**
 * A circuit breaker fed by requests and probes.
 *
 *              5 failures in a row,
 *              half of ≥ 20 in 30 s,
 *              or probes fail               cool-down over
 *   closed ────────────────────────▶ open ────────────────▶ half-open: one request, up to 3 if it takes long
 *     ▲                               │ ▲                        │
 *     │   probe answers (at once if   │ └──────── fails ─────────┤   (cool-down doubles, to 60 s)
 *     └── it was unreachable) ────────┘                          │
 *     └──────────────────────── succeeds ────────────────────────┘
 *
 * What requests have found out of an upstream that can be reached only a request takes back: one that hangs may go on
 * answering probes. A request that waits in vain or gets a 503 while others are answered is not held against the
 * upstream: it is busy with long prompts, or has no room for more.
 */
export class Health {
  readonly #upstream: string;
  readonly #emit: Emit;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #rate: FailureRate;
  #state: 'closed' | 'open' | 'half-open' = 'closed';
  #detail: string | undefined;
  #consecutive = 0;
  /** Times that it opened without a success in between. */
  #openings = 0;
  #openUntilMs = 0;
  #unreachable = false;
  /** Probes have opened it, not requests. */
  #byProbes = false;
  #trials = 0;
  #lastTrialAtMs = 0;
  /** Calls that began before the last opening no longer count. */
  #generation = 0;
  #running = 0;
  /** Running calls whose replies have begun. */
  #answering = 0;
  #lastSuccessAtMs = Number.NEGATIVE_INFINITY;
  #lastAnswerAtMs = Number.NEGATIVE_INFINITY;
  #probeFailures = 0;
  #everAnswered = false;

  constructor(options: { upstream: string; emit: Emit; now: () => number; random: () => number }) {
    this.#upstream = options.upstream;
    this.#emit = options.emit;
    this.#now = options.now;
    this.#random = options.random;
    this.#rate = new FailureRate(options.now);
  }

  snapshot(): Pick<BackendHealth, 'state' | 'detail' | 'retryAfterMs' | 'breaker'> {
    const detail = this.#detail === undefined ? {} : { detail: this.#detail };
    if (this.#state === 'closed') return { state: 'ready', breaker: 'closed', ...detail };
    const waitMs = this.#state === 'open' ? this.#openUntilMs - this.#now() : 0;
    if (waitMs > 0) return { state: 'down', breaker: 'open', retryAfterMs: Math.ceil(waitMs), ...detail };
    const nextTrialMs = this.#trials === 0 ? 0 : this.#lastTrialAtMs + TRIAL_SPACING_MS - this.#now();
    if (this.#trials >= MAX_TRIALS || nextTrialMs > 0)
      return { state: 'down', breaker: 'half-open', retryAfterMs: TRIAL_SPACING_MS, ...detail };
    return { state: 'ready', breaker: 'half-open', ...detail };
  }

  /** When the first byte of a good reply last came. */
  get answeredAtMs(): number {
    return this.#lastAnswerAtMs;
  }

  begin(): HealthCall {
    if (this.#state === 'open' && this.#now() >= this.#openUntilMs) this.#state = 'half-open';
    const trial = this.#state === 'half-open';
    const generation = this.#generation;
    const begunAtMs = this.#now();
    if (trial) {
      this.#trials += 1;
      this.#lastTrialAtMs = begunAtMs;
    }
    this.#running += 1;
    let ended = false;
    let answered = false;
    return {
      answered: () => {
        if (!answered && !ended) this.#answering += 1;
        answered = true;
        this.#lastAnswerAtMs = this.#now();
        // Another trial may have closed it before, and have had its success counted.
        if (trial && generation === this.#generation && this.#state !== 'closed')
          this.#close(FAILURES_TO_OPEN - 1, 'a request was answered');
      },
      end: (outcome, detail = '') => {
        if (ended) return;
        ended = true;
        this.#running -= 1;
        if (answered) this.#answering -= 1;
        if (generation !== this.#generation) return;
        if (trial) this.#trials -= 1;
        const waited = outcome === 'late' && !answered && this.#lastAnswerAtMs > begunAtMs;
        const full = outcome === 'unavailable' && this.#answersOthers;
        if (outcome === 'ok') this.#succeeded();
        else if (outcome !== 'neutral' && !waited && !full) this.#failed(detail, outcome === 'unreachable');
      },
    };
  }

  /** @param refused The upstream answered, but would not have our key. */
  probeSucceeded(refused: string | undefined): void {
    this.#everAnswered = true;
    this.#probeFailures = 0;
    if (this.#state === 'closed') {
      this.#detail = refused;
      return;
    }
    const cooledDown = this.#now() >= this.#openUntilMs;
    if (this.#unreachable || (this.#byProbes && cooledDown)) {
      this.#close(FAILURES_TO_OPEN - 1, 'a probe was answered');
      this.#detail = refused;
    }
  }

  probeFailed(failure: ProbeFailure): void {
    if (failure.mayBeBusy && this.#running > 0) return;
    if (this.#now() - this.#lastSuccessAtMs < FRESH_SUCCESS_MS) return;
    this.#probeFailures += 1;
    const enough = this.#probeFailures >= PROBE_FAILURES_TO_OPEN || !this.#everAnswered;
    if (!enough) return;
    if (this.#state === 'closed') {
      this.#open(failure.detail, !failure.mayBeBusy);
      this.#byProbes = true;
    } else if (this.#unreachable && !failure.mayBeBusy && this.#trials === 0) {
      // It still refuses connections: it stays down and is probed often. The first answered probe brings it back.
      this.#state = 'open';
      this.#openUntilMs = Math.max(this.#openUntilMs, this.#now() + COOL_DOWN_MS);
    }
  }

  get #answersOthers(): boolean {
    return this.#answering > 0 || this.#now() - this.#lastAnswerAtMs < FRESH_ANSWER_MS;
  }

  #succeeded(): void {
    this.#everAnswered = true;
    this.#probeFailures = 0;
    this.#lastSuccessAtMs = this.#now();
    this.#openings = 0;
    this.#rate.count(false);
    if (this.#state !== 'closed') this.#close(0, 'a request was answered');
    this.#consecutive = 0;
  }

  #failed(detail: string, unreachable: boolean): void {
    this.#consecutive += 1;
    this.#lastSuccessAtMs = Number.NEGATIVE_INFINITY;
    this.#rate.count(true);
    if (this.#state === 'open') return;
    const tooMany = this.#consecutive >= FAILURES_TO_OPEN || this.#rate.tooHigh;
    if (this.#state === 'half-open' || tooMany) this.#open(detail, unreachable);
  }

  #open(detail: string, unreachable: boolean): void {
    const announce = this.#state === 'closed';
    this.#state = 'open';
    this.#detail = detail;
    this.#unreachable = unreachable;
    this.#byProbes = false;
    // Up to a fifth more or less, so that gateways that lost it together do not come back together.
    const coolDownMs = COOL_DOWN_MS * 2 ** this.#openings * (0.8 + 0.4 * this.#random());
    this.#openUntilMs = this.#now() + Math.min(coolDownMs, MAX_COOL_DOWN_MS);
    this.#openings += 1;
    this.#generation += 1;
    this.#trials = 0;
    this.#rate.clear();
    if (announce) this.#announce(false, detail);
  }

  #close(consecutive: number, why: string): void {
    this.#state = 'closed';
    this.#detail = undefined;
    this.#consecutive = consecutive;
    this.#announce(true, why);
  }

  #announce(healthy: boolean, detail: string): void {
    this.#emit({ type: 'upstream-health-changed', upstream: this.#upstream, healthy, detail });
  }
}
