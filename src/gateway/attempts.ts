import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { AttemptKind } from '../core/event.ts';
import { endedBy } from './deadline.ts';
import type { Route } from './gateway.ts';
import { type Attempt, hedge } from './hedge.ts';
import type { ModelState } from './model-state.ts';
import type { Placement } from './placement.ts';
import type { Settlement } from './settlement.ts';
import type { Slot, SlotRequest } from './slot.ts';

export interface AttemptOptions {
  readonly signal: AbortSignal;
  readonly settlement: Settlement;
  readonly placement: Placement;
  readonly maxRetries: number;
  /** Takes over the place of the attempt that was answered, to release it when the request is settled. */
  readonly hold: (slot: Slot) => void;
}

/**
 * Tries the deployments as the policy ranks them, the next one while nothing has been delivered and the failure says
 * that another try may help. A deployment that the request never reached costs none of the retries.
 *
 * @throws AppError of the last attempt, with the soonest time to come back that any deployment gave.
 */
export async function startAtBest<D extends Deployment, T>(
  route: Route,
  capable: readonly D[],
  request: SlotRequest,
  options: AttemptOptions,
  start: (deployment: D, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { placement, settlement, signal, maxRetries } = options;
  const model = placement.model(route.model.name);
  const tries = new Tries(route, capable, request, options, start);
  let failure: AppError | undefined;
  for (let charged = 0; tries.left.length > 0; ) {
    let turn: (() => void) | undefined;
    if (failure !== undefined && !failure.nothingSent) {
      turn = charged < maxRetries ? await turnToRetry(model, tries.left, options) : undefined;
      if (turn === undefined) break;
      charged += 1;
    }
    try {
      const slot = await placement.place(route, tries.left, request, signal);
      settlement.queuedMs += slot.waitedMs;
      const outcome = await tries.run(slot, failure === undefined ? 'first' : 'retry');
      if ('reply' in outcome) return outcome.reply;
      failure = outcome.failure;
    } finally {
      turn?.();
    }
    if (signal.aborted || !failure.retryable) throw failure;
    // Nothing is retried at those that asked to be left alone.
    tries.left = placement.notCooling(tries.left);
  }
  throw comeBack(failure ?? new AppError('model_unavailable'), placement, capable);
}

/** Nobody waits for a turn at backends that are down. */
async function turnToRetry(
  { budget }: ModelState,
  left: readonly Deployment[],
  { placement, signal }: AttemptOptions,
): Promise<(() => void) | undefined> {
  return placement.anyReady(left) ? await budget.turn(signal) : budget.take();
}

function comeBack(failure: AppError, placement: Placement, capable: readonly Deployment[]): AppError {
  if (!failure.retryable || placement.anyReady(capable)) return failure;
  const { code, message, param, status, cause, nothingSent } = failure;
  const soonestMs = placement.retryAfterMs(capable);
  const retryAfterMs = Math.min(
    soonestMs ?? Number.POSITIVE_INFINITY,
    failure.retryAfterMs ?? Number.POSITIVE_INFINITY,
  );
  if (retryAfterMs === Number.POSITIVE_INFINITY) return failure;
  return new AppError(code, { message, param, status, cause, nothingSent, retryAfterMs });
}

/** The attempts of one request: which deployments are left, and which attempt was answered first. */
class Tries<D extends Deployment, T> {
  left: readonly D[];
  readonly #route: Route;
  readonly #capable: readonly D[];
  readonly #request: SlotRequest;
  readonly #options: AttemptOptions;
  readonly #start: (deployment: D, signal: AbortSignal) => Promise<T>;
  #answered = false;

  constructor(
    route: Route,
    capable: readonly D[],
    request: SlotRequest,
    options: AttemptOptions,
    start: (deployment: D, signal: AbortSignal) => Promise<T>,
  ) {
    this.left = capable;
    this.#capable = capable;
    this.#route = route;
    this.#request = request;
    this.#options = options;
    this.#start = start;
  }

  async run(
    slot: Slot<D>,
    kind: AttemptKind,
  ): Promise<{ readonly reply: T } | { readonly failure: AppError }> {
    try {
      return { reply: await this.#answer(slot, kind) };
    } catch (error) {
      return { failure: AppError.from(error) };
    }
  }

  async #answer(slot: Slot<D>, kind: AttemptKind): Promise<T> {
    const delayMs = this.#hedgeAfterMs(slot.deployment);
    if (delayMs === undefined) return await this.#launch(slot, kind, false).answered;
    return await hedge(this.#launch(slot, kind, true), delayMs, () => this.#second());
  }

  #hedgeAfterMs(deployment: D): number | undefined {
    if (this.#route.hedge !== true || !this.#request.stream || this.#capable.length < 2) return undefined;
    const { placement } = this.#options;
    const p95Ms = ({ backend, model }: D) =>
      placement.lane(backend).latency(model).p95FirstTokenMs(this.#request.promptBytes);
    // One that has hung for long has no figures of its own.
    return p95Ms(deployment) ?? this.#capable.map(p95Ms).find((known) => known !== undefined);
  }

  #second(): Attempt<T> | undefined {
    const { placement, signal } = this.#options;
    const { hedges } = placement.model(this.#route.model.name);
    if (signal.aborted || !hedges.allows(placement.saturation(this.#capable))) return undefined;
    const slot = placement.tryPlace(this.#route, this.left, this.#request, true);
    if (slot === undefined) return undefined;
    hedges.spend();
    return this.#launch(slot, 'hedge', true);
  }

  #launch(slot: Slot<D>, kind: AttemptKind, contested: boolean): Attempt<T> {
    const { placement, settlement, hold } = this.#options;
    const { hedges } = placement.model(this.#route.model.name);
    this.left = this.left.filter((deployment) => deployment !== slot.deployment);
    const cancel = contested ? new AbortController() : undefined;
    const signal = cancel ? AbortSignal.any([this.#options.signal, cancel.signal]) : this.#options.signal;
    let lost = false;
    const lose = () => {
      if (lost) return;
      lost = true;
      cancel?.abort();
      if (kind === 'hedge') hedges.lost += 1;
      settlement.attempt(slot.deployment, { kind, lost, code: undefined, durationMs: slot.ageMs });
      slot.lost();
      placement.judge(this.#route, slot);
    };
    const answered = this.#start(slot.deployment, signal).then(
      (reply) => {
        if (this.#answered) {
          lose();
          throw new AppError('client_closed');
        }
        this.#answered = true;
        if (kind === 'hedge') hedges.won += 1;
        settlement.attempt(slot.deployment, { kind, lost, code: undefined, durationMs: slot.ageMs });
        slot.answered();
        hold(slot);
        placement.judge(this.#route, slot);
        return reply;
      },
      (thrown: unknown) => {
        const ended = this.#options.signal.aborted;
        const failure = ended ? endedBy(this.#options.signal, thrown) : AppError.from(thrown);
        if (!lost) {
          lost = true;
          if (kind === 'hedge') hedges.lost += 1;
          settlement.attempt(slot.deployment, {
            kind,
            lost: false,
            code: failure.code,
            durationMs: slot.ageMs,
          });
          slot.failed(failure);
        }
        throw failure;
      },
    );
    return { answered, lose };
  }
}
