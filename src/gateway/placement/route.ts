import type { Policy } from '../../../routers/policy.ts';
import type { Limits } from '../../core/caller.ts';
import type { RouteDemands } from '../../core/demands.ts';
import type { PublicModel } from '../../core/deployment.ts';
import type { DifficultyClassifier } from '../../difficulty/classifier.ts';
import type { Shadow } from '../trials/shadow.ts';

/** How good a deployment has to be. */
export interface Tiers {
  readonly classifier: DifficultyClassifier;
  /** Requests at least so difficult, 0 to 1 … */
  readonly threshold: number;
  /** … need a deployment of at least this quality, 0 to 1. */
  readonly quality: number;
}

/** A model and the policy that spreads its requests. */
export interface Route {
  readonly model: PublicModel;
  readonly policy: Policy;
  /** A stream whose first token is late is asked for at a second deployment too. */
  readonly hedge?: boolean;
  /** What the policy was made from: one that was made from the same is kept, with what it has learnt. */
  readonly policyKey?: string;
  /** Requests that are hard need a good deployment. */
  readonly tiers?: Tiers | undefined;
  /** Of the operator, for every request. */
  readonly demands?: RouteDemands;
  /** Copies of requests go there. */
  readonly shadow?: Shadow | undefined;
  /** For all callers together. */
  readonly limits?: Limits | undefined;
}
