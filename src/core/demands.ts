import type { Deployment } from './deployment.ts';

/**
 * What somebody demands of the place where a request is served: the operator for a model, the client for one
 * request. They add up: the strictest of each kind holds, so that nobody can loosen what another demanded.
 */
export interface RouteDemands {
  /** The loosest class of deployment that may see the text. */
  readonly privacy?: Deployment['privacy'] | undefined;
  /** The only regions that may. */
  readonly regions?: readonly string[] | undefined;
  /** The most that the request may be expected to cost. */
  readonly maxCostUsd?: number | undefined;
}

/** What one request brings along in its headers. */
export interface RequestDemands extends RouteDemands {
  /** Replaces the time to first token that the model aims at, if it is shorter. */
  readonly sloTtftMs?: number | undefined;
  /** Requests with the same key are served at the same place if possible. */
  readonly sessionKey?: string | undefined;
}
