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
  /** Takes over the slot of the attempt that was answered, to release it when the request is settled. */
  readonly hold: (slot: Slot) => void;
}

/**
 * Tries the deployments as the policy ranks them, the next one while nothing has been delivered and the failure says
 * that another try may help. A deployment that the request never reached does not count as a retry. Deployments that
 * come and go with the configuration in the meantime come and go for the request, too.
 *
 * @param capable The deployments of a route that can serve the request.
 * @param explain Adds to what is thrown what more there is to say about it.
 * @throws AppError of the last attempt, with the soonest time to come back that any deployment gave.
 */
export function startAtBest<D extends Deployment, T>(
  capable: (route: Route) => readonly D[],
  request: SlotRequest,
  options: AttemptOptions,
  start: (deployment: D, signal: AbortSignal) => Promise<T>,
  explain: (error: unknown) => unknown,
): Promise<T> {
  try {
    const { placement, route } = options;
    const tries = new Tries(capable, request, options, start);
    const claim = () => tries.claim();
    const slot =
      tries.left().length > 0
        ? placement.placeNow(placement.model(route().model.name), request, claim)
        : undefined;
    const goOn = (failure?: AppError) =>
      goOnTrying({ capable, request, options, tries, claim, explain }, failure);
    if (slot === undefined) return goOn();
    // Nearly always the first attempt is the last one, and has nothing to wait for but its answer.
    return tries.run(slot, 'first').then(
      (reply) => {
        tries.answered(slot, 'first');
        return reply;
      },
      (thrown: unknown) => goOn(tries.failed(slot, 'first', thrown)),
    );
  } catch (error) {
    return Promise.reject(explain(error));
  }
}

interface Trying<D extends Deployment, T> {
  readonly capable: (route: Route) => readonly D[];
  readonly request: SlotRequest;
  readonly options: AttemptOptions;
  readonly tries: Tries<D, T>;
  readonly claim: () => Slot<D> | undefined;
  readonly explain: (error: unknown) => unknown;
}

/** @param failure Of the first attempt, if there was one. */
async function goOnTrying<D extends Deployment, T>(
  { capable, request, options, tries, claim, explain }: Trying<D, T>,
  failure: AppError | undefined,
): Promise<T> {
  const { placement, settlement, signal, maxRetries } = options;
  try {
    const model = placement.model(options.route().model.name);
    let last = failure;
    for (let charged = 0; ; ) {
      if (last !== undefined && (signal.aborted || !last.retryable)) throw last;
      if (tries.left().length === 0) break;
      let turn: (() => void) | undefined;
      if (last !== undefined && !last.nothingSent) {
        turn = charged < maxRetries ? await turnToRetry(model, tries.left(), options) : undefined;
        if (turn === undefined) break;
        charged += 1;
      }
      try {
        const onWaited = (ms: number) => {
          settlement.queuedMs += ms;
        };
        const wish = { deployments: tries.left(), request, claim, signal, onWaited };
        const placed = placement.place(model, wish);
        const slot = placed instanceof Promise ? await placed : placed;
        const kind = last === undefined ? 'first' : 'retry';
        let reply: T;
        try {
          reply = await tries.run(slot, kind);
        } catch (thrown) {
          last = tries.failed(slot, kind, thrown);
          continue;
        }
        tries.answered(slot, kind);
        return reply;
      } finally {
        turn?.();
      }
    }
    throw comeBack(last ?? new AppError('model_unavailable'), placement, capable(options.route()));
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
