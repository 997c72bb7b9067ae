import { balanced } from './balanced.ts';
import { leastInFlight } from './least-in-flight.ts';
import { lowestCost } from './lowest-cost.ts';
import { lowestLatency } from './lowest-latency.ts';
import type { PolicyFactory } from './policy.ts';
import { powerOfTwo } from './power-of-two.ts';
import { prefixCacheAware } from './prefix-cache-aware.ts';
import { roundRobin } from './round-robin.ts';
import { sessionAffinity } from './session-affinity.ts';
import { weighted } from './weighted.ts';

/** All policies, by the names that the configuration uses. A new one is a file and a line here. */
export const POLICIES = {
  balanced,
  'round-robin': roundRobin,
  weighted,
  'least-in-flight': leastInFlight,
  'power-of-two': powerOfTwo,
  'session-affinity': sessionAffinity,
  'prefix-cache-aware': prefixCacheAware,
  'lowest-cost': lowestCost,
  'lowest-latency': lowestLatency,
} as const satisfies Record<string, PolicyFactory>;

export type PolicyName = keyof typeof POLICIES;
