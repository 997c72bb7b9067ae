import type { Caller } from '../../core/caller.ts';

/** Those among whom is shared what is not enough for all. */
export type Tenant = Pick<Caller, 'projectId' | 'weight' | 'priority'> &
  Partial<Pick<Caller, 'organizationId'>>;

/** All requests without a caller are one tenant's. */
const NOBODY: Tenant = { projectId: '', weight: 1, priority: 0 };

export function tenantOf(caller: Caller | undefined): Tenant {
  return caller ?? NOBODY;
}
