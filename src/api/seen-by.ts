import { type Caller, isBound } from '../core/caller.ts';
import type { UsageDimension, UsageQuery } from './usage-reader.ts';

/** Users see what their own project used, roles of an organization what that used, operators everything. */
export function seenBy(caller: Caller | undefined, only: UsageQuery['only']): UsageQuery['only'] {
  if (caller?.role === 'user') return narrowed(only, 'project', caller.projectId);
  if (caller !== undefined && isBound(caller.role))
    return narrowed(only, 'organization', caller.organizationId);
  return only;
}

function narrowed(only: UsageQuery['only'], dimension: UsageDimension, own: string): UsageQuery['only'] {
  const asked = only[dimension];
  return { ...only, [dimension]: asked === undefined || asked.includes(own) ? [own] : [] };
}
