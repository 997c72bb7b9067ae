import type { Caller } from '../core/caller.ts';
import type { RequestDemands } from '../core/demands.ts';
import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { ModelState } from './model-state.ts';
import type { Placement } from './placement.ts';
import type { PrivacyRule } from './privacy-rule.ts';
import type { Route } from './route.ts';
import type { Settlement } from './settlement.ts';
import type { Slot, SlotRequest } from './slot.ts';
import { tenantOf } from './tenant.ts';
import { Tries } from './tries.ts';

export interface AttemptOptions {
  /** The model's route as the configuration has it now. */
  readonly route: () => Route;
  readonly signal: AbortSignal;
  readonly settlement: Settlement;
  readonly placement: Placement;
  readonly maxRetries: number;
  readonly decisionId: string;
  readonly demands: RequestDemands;
  readonly privacy: PrivacyRule | undefined;
  /** Undefined: nobody needs a key. */
  readonly caller: Caller | undefined;
  /** On the gateway's monotonic clock. */
  readonly deadlineAtMs: number | undefined;
  /** Takes over the place of the attempt that was answered, to release it when the request is settled. */
  readonly hold: (slot: Slot) => void;
}

/**
 * Tries the deployments as the policy ranks them, the next one while nothing has been delivered and the failure says
 * that another try may help. A deployment that the request never reached costs none of the retries. What comes and goes
 * with the configuration meanwhile comes and goes for the request too.
 *
 * @param capable The deployments of a route that can serve the request.
 * @param explain Of what is thrown: what more there is to say of it.
 * @throws AppError of the last attempt, with the soonest time to come back that any deployment gave.
 */
export async function startAtBest<D extends Deployment, T>(
  capable: (route: Route) => readonly D[],
  request: SlotRequest,
  options: AttemptOptions,
  start: (deployment: D, signal: AbortSignal) => Promise<T>,
  explain: (error: unknown) => unknown,
): Promise<T> {
  const { placement, settlement, signal, maxRetries } = options;
  try {
    const model = placement.model(options.route().model.name);
    const tries = new Tries(capable, request, options, start);
    const claim = () => tries.claim();
    let failure: AppError | undefined;
    for (let charged = 0; tries.left().length > 0; ) {
      let turn: (() => void) | undefined;
      if (failure !== undefined && !failure.nothingSent) {
        turn = charged < maxRetries ? await turnToRetry(model, tries.left(), options) : undefined;
        if (turn === undefined) break;
        charged += 1;
      }
      try {
        const placed = placement.place(model, request, claim, signal);
        const slot = placed instanceof Promise ? await placed : placed;
        settlement.queuedMs += slot.waitedMs;
        const kind = failure === undefined ? 'first' : 'retry';
        let reply: T;
        try {
          reply = await tries.run(slot, kind);
        } catch (thrown) {
          failure = tries.failed(slot, kind, thrown);
          if (signal.aborted || !failure.retryable) throw failure;
          continue;
        }
        tries.answered(slot, kind);
        return reply;
      } finally {
        turn?.();
      }
    }
    throw comeBack(failure ?? new AppError('model_unavailable'), placement, capable(options.route()));
  } catch (error) {
    throw explain(error);
  }
}

/** Nobody waits for a turn at backends that are down. */
async function turnToRetry(
  { budget }: ModelState,
  left: readonly Deployment[],
  { placement, signal, caller }: AttemptOptions,
): Promise<(() => void) | undefined> {
  const tenant = tenantOf(caller);
  return placement.anyReady(left) ? await budget.turn(tenant, signal) : budget.take(tenant);
}

function comeBack(failure: AppError, placement: Placement, capable: readonly Deployment[]): AppError {
  if (!failure.retryable || placement.anyReady(capable)) return failure;
  const soonestMs = placement.retryAfterMs(capable);
  const retryAfterMs = Math.min(
    soonestMs ?? Number.POSITIVE_INFINITY,
    failure.retryAfterMs ?? Number.POSITIVE_INFINITY,
  );
  if (retryAfterMs === Number.POSITIVE_INFINITY) return failure;
  return failure.with({ retryAfterMs });
}
