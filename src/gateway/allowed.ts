import { type Obstacle, obstacle, strictest } from '../../routers/constraints.ts';
import type { Constraints, RequestFeatures } from '../../routers/request.ts';
import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { WireRequest } from '../core/request.ts';
import { startAtBest } from './attempts.ts';
import { DecisionTrace } from './placement/decision-trace.ts';
import type { Route } from './placement/route.ts';
import type { RequestContext } from './request-context.ts';

/**
 * Starts a request at the best of the deployments that may serve it. Every way to a deployment (first try, retry,
 * hedge) begins with the list that `capable` gives, so what is not allowed is out of reach.
 *
 * @param capable The deployments of a route that can serve the request.
 * @throws AppError of the last attempt; or `no_deployment_allowed`, which names what forbids it.
 */
export function startAtAllowed<D extends Deployment, T>(
  capable: (route: Route) => readonly D[],
  { wire }: { readonly wire: WireRequest },
  features: RequestFeatures,
  context: RequestContext,
  start: (deployment: D, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { settlement, placement, route, model, caller, deadlineAtMs } = context;
  const trace = new DecisionTrace(settlement.id, features);
  settlement.decision = trace;
  const allowedAt = (route: Route) => allowedOf(capable(route), features, route, trace);
  const explain = (error: unknown) =>
    trace.refused.length > 0 ? namingDemands(AppError.from(error), features.constraints) : error;
  const drawn = placement.draw(route, features.sessionKey);
  trace.trials = model.canaries.parts(drawn);
  const promptBytes = wire.body.length;
  const request = { stream: features.stream, promptBytes, features, trace, drawn, caller, deadlineAtMs };
  return startAtBest(allowedAt, request, context, start, explain);
}

/**
 * Privacy, region and cost are never relaxed. What is only estimated is: where no deployment has the context, each may
 * say so itself; where none is good enough, the best will do.
 */
function allowedOf<D extends Deployment>(
  deployments: readonly D[],
  features: RequestFeatures,
  { model, demands = {} }: Route,
  trace: DecisionTrace,
): readonly D[] {
  // What the operator has demanded since the request came holds for it, too.
  const constraints = strictest(features.constraints, demands);
  if (deployments.every((deployment) => obstacle(deployment, features, constraints) === undefined))
    return deployments;
  const obstacles = deployments.map((deployment) => obstacle(deployment, features, constraints));
  trace.refused = deployments.flatMap(({ id }, i) => {
    const found = obstacles[i];
    return found === undefined ? [] : [{ deployment: id, obstacle: found.kind }];
  });
  const those = (kind: Obstacle['kind'] | undefined) =>
    deployments.filter((_, i) => obstacles[i]?.kind === kind);
  for (const best of [those(undefined), bestOf(those('quality')), those('context')])
    if (best.length > 0) return best;
  throw new AppError('no_deployment_allowed', {
    message: `No deployment of the model \`${model.name}\` may serve this request: ${demandsText(constraints)}.`,
  });
}

/** Adds to a failure that others were not asked, and why. */
function namingDemands(failure: AppError, constraints: Constraints): AppError {
  if (!failure.retryable) return failure;
  return failure.with({ message: `${failure.message} Others were not asked: ${demandsText(constraints)}.` });
}

function bestOf<D extends Deployment>(deployments: readonly D[]): readonly D[] {
  const best = Math.max(...deployments.map(({ quality = 1 }) => quality));
  return deployments.filter(({ quality = 1 }) => quality === best);
}

/** In words that give nothing of the fleet away. */
function demandsText({ privacy, regions, maxCostUsd }: Constraints): string {
  const demands = [
    privacy === undefined || privacy === 'public' ? [] : `its text must stay ${PLACES[privacy]}`,
    regions === undefined
      ? []
      : regions.length === 0
        ? 'it may be in no region'
        : `it must stay in ${regions.join(' or ')}`,
    maxCostUsd === undefined ? [] : `it may cost ${maxCostUsd} USD at most`,
  ].flat();
  return demands.join(', and ') || 'it needs more than they have';
}

const PLACES = {
  local: 'inside this gateway (`local`)',
  private: 'on servers of the operator (`private`)',
} as const;
