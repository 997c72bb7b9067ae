import type { RouteDemands } from './demands.ts';

/** What may be used in a period. Undefined: no limit of that kind. */
export interface Limits {
  readonly requestsPerMinute?: number | undefined;
  /** Prompt and output together. */
  readonly tokensPerMinute?: number | undefined;
  /** Requests that run or wait at the same time. */
  readonly concurrency?: number | undefined;
  /** Of a calendar day in UTC. */
  readonly nanoUsdPerDay?: number | undefined;
  /** Of a calendar month in UTC. */
  readonly nanoUsdPerMonth?: number | undefined;
}

/**
 * `user`: the models. `organization-viewer`: may also look at what its own organization has and uses. `organization-admin`: may also change
 * that. `viewer`: may look at everything that operators see. `admin`: may also change it.
 */
export const ROLES = ['user', 'organization-viewer', 'organization-admin', 'viewer', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** A caller of that role sees and changes only what is its own organization's. */
export function isBound(role: Role): boolean {
  return role === 'organization-viewer' || role === 'organization-admin';
}

/** Who asks: the API key of a request, and whom it belongs to. Never the key itself. */
export interface Caller {
  readonly keyId: string;
  /** The tenant: what is shared fairly is shared among projects. */
  readonly projectId: string;
  readonly organizationId: string;
  readonly role: Role;
  /** Public names of models that the key is for; undefined: all. */
  readonly models?: readonly string[] | undefined;
  /** Paths that the key is for, such as `/v1/embeddings`; undefined: all. */
  readonly endpoints?: readonly string[] | undefined;
  /** How large the project's share is, against those of others, when there is not enough for all. */
  readonly weight: number;
  /** Whoever has a lower number is served before all with a higher one. */
  readonly priority: number;
  /** The strictest of what the organization, the project and the key demand. */
  readonly demands: RouteDemands;
  /** Each holds by itself. */
  readonly limits: {
    readonly key: Limits;
    readonly project: Limits;
    readonly organization: Limits;
  };
}
