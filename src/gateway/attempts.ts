import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { Lanes } from './placement/lanes.ts';
import type { Route } from './placement/route.ts';
import type { SlotRequest } from './placement/slot.ts';
import { tenantOf } from './request/tenant.ts';
import type { RequestContext } from './request-context.ts';
import { Tries } from './tries.ts';

/**
 * Tries the deployments as the policy ranks them, the next one while nothing has been delivered and the failure says
 * that another try may help. A deployment that the request never reached does not count as a retry. Where the last one
 * had no room, the request waits in line until it has. Deployments that come and go with the configuration in the meantime
 * come and go for the request, too.
 *
 * @param capable The deployments of a route that can serve the request.
 * @param explain Adds to what is thrown what more there is to say about it.
 * @throws AppError of the last attempt, with the soonest time to come back that any deployment gave.
 */
export function startAtBest<D extends Deployment, T>(
  capable: (route: Route) => readonly D[],
  request: SlotRequest,
  context: RequestContext,
  start: (deployment: D, signal: AbortSignal) => Promise<T>,
  explain: (error: unknown) => unknown,
): Promise<T> {
  try {
    const tries = new Tries(capable, request, context, start);
    const slot =
      tries.left().length > 0
        ? context.placement.placeNow(context.model, request, () => tries.claim())
        : undefined;
    const goOn = (failure?: AppError) => goOnTrying(tries, explain, failure);
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

/** @param failure Of the first attempt, if there was one. */
async function goOnTrying<D extends Deployment, T>(
  tries: Tries<D, T>,
  explain: (error: unknown) => unknown,
  failure: AppError | undefined,
): Promise<T> {
  const { context, request } = tries;
  const { placement, settlement, signal, maxRetries, model } = context;
  const claim = () => tries.claim();
  const onWaited = (ms: number) => {
    settlement.queuedMs += ms;
  };
  try {
    let last = failure;
    for (let charged = 0; ; ) {
      if (last !== undefined && (signal.aborted || !last.retryable)) throw last;
      if (tries.left().length === 0) break;
      let turn: (() => void) | undefined;
      if (last !== undefined && !last.nothingSent) {
        if (charged >= maxRetries) break;
        charged += 1;
        if (!tries.waitsForRoom) {
          turn = await turnToRetry(tries.left(), context);
          if (turn === undefined) break;
        }
      }
      try {
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
    throw comeBack(last ?? new AppError('model_unavailable'), placement.lanes, tries.all());
  } catch (error) {
    throw explain(error);
  }
}

/** Nobody waits for a turn at backends that are down. */
async function turnToRetry(
  left: readonly Deployment[],
  { placement, signal, caller, model: { budget } }: RequestContext,
): Promise<(() => void) | undefined> {
  const tenant = tenantOf(caller);
  return placement.lanes.anyWorks(left) ? await budget.turn(tenant, signal) : budget.take(tenant);
}

function comeBack(failure: AppError, lanes: Lanes, capable: readonly Deployment[]): AppError {
  if (!failure.retryable || lanes.anyWorks(capable)) return failure;
  const soonestMs = lanes.retryAfterMs(capable);
  const retryAfterMs = Math.min(
    soonestMs ?? Number.POSITIVE_INFINITY,
    failure.retryAfterMs ?? Number.POSITIVE_INFINITY,
  );
  if (retryAfterMs === Number.POSITIVE_INFINITY) return failure;
  return failure.with({ retryAfterMs });
}
