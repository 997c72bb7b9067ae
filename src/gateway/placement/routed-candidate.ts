import type { Candidate } from '../../../routers/candidate.ts';
import type { Ranked } from '../../../routers/policy.ts';
import type { Choice } from '../../core/decision.ts';
import type { Deployment } from '../../core/deployment.ts';
import type { Tenant } from '../request/tenant.ts';
import type { Lane } from './lane.ts';

/** A deployment as policies see it, and what a request needs that is sent there. */
export interface RoutedCandidate<D extends Deployment> extends Candidate {
  /** It has room for the request. */
  readonly free: boolean;
  readonly deployment: D;
  readonly lane: Lane;
}

/** @param hasLine The tenant has a line of its own. */
export function routedCandidate<D extends Deployment>(
  deployment: D,
  lane: Lane,
  tenant: Tenant,
  hasLine: boolean,
): RoutedCandidate<D> {
  const { id, contextTokens, price, machineUsdPerHour, privacy, region, quality, weight } = deployment;
  return {
    id,
    ready: lane.ready,
    free: lane.hasRoomFor(tenant, hasLine),
    inFlight: lane.inFlight,
    capacity: lane.limit?.limit,
    contextTokens,
    price,
    machineUsdPerHour,
    privacy,
    region,
    quality,
    weight,
    deployment,
    lane,
  };
}

/** Those that might have served the request, and why they were not asked. */
export function passedOverOf<D extends Deployment>(
  allowed: readonly RoutedCandidate<D>[],
  considered: readonly RoutedCandidate<D>[],
): Choice['passedOver'] {
  return allowed
    .filter((one) => !considered.includes(one))
    .map(({ id, ready, free }) => ({
      deployment: id,
      because: ready ? (free ? 'trial' : 'full') : 'not-ready',
    }));
}

const NO_PARTS: Ranked<Candidate>['parts'] = {};

/** Where nobody chose. */
export function unranked<C extends Candidate>(candidate: C): Ranked<C> {
  return { candidate, score: 0, parts: NO_PARTS };
}
