import type { Caller } from '../../core/caller.ts';
import type { PublicModel } from '../../core/deployment.ts';
import { type Scope, servedBy, unserved } from '../unserved.ts';

/** What has been made or changed, with warnings where it is limited to what this gateway does not serve, or not to the caller. */
export type Warned = <T extends object>(
  changed: Promise<T | undefined>,
  scope: Scope,
  caller: Caller | undefined,
) => Promise<(T & { readonly warnings?: readonly string[] }) | undefined>;

/** @param models Those that a caller may use. */
export function warnedBy(models: (caller: Caller | undefined) => Iterable<PublicModel>): Warned {
  return async (changed, scope, caller) => {
    const found = await changed;
    const warnings = unserved(scope, servedBy(models(caller)), 'here');
    return found === undefined || warnings.length === 0 ? found : { ...found, warnings };
  };
}
