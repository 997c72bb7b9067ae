import { strictest } from '../../routers/constraints.ts';
import type { Caller } from '../core/caller.ts';
import type { RequestDemands } from '../core/demands.ts';
import { AppError } from '../core/error.ts';
import type { GenerateRequest } from '../core/request.ts';
import type { Route } from './placement/route.ts';

const NO_DEMANDS: RequestDemands = {};

/** Without a caller nobody needs a key. */
export function mayUse(caller: Caller | undefined, model: string): boolean {
  return caller?.models === undefined || caller.models.includes(model);
}

/** @throws AppError `model_not_found`, the same for a model that there is not and for one that the caller may not use. */
export function routeFor(
  routes: ReadonlyMap<string, Route>,
  name: string,
  caller: Caller | undefined,
): Route {
  const route = routes.get(name);
  if (route && mayUse(caller, name)) return route;
  throw new AppError('model_not_found', {
    message: `The model \`${name.slice(0, 200)}\` does not exist or you do not have access to it.`,
    param: 'model',
  });
}

/**
 * Salts a request with its tenant, so that what a model remembers of one tenant's prompts never shows in the timing
 * of another's.
 */
export function ofTenant(request: GenerateRequest, caller: Caller | undefined): GenerateRequest {
  return caller === undefined
    ? request
    : { ...request, cacheSalt: `${caller.projectId} ${request.cacheSalt ?? ''}` };
}

/** What the request demands, together with what its tenant demands. */
export function demandsOf(caller: Caller | undefined, demands: RequestDemands = NO_DEMANDS): RequestDemands {
  if (caller === undefined) return demands;
  const { privacy, regions, maxCostUsd } = caller.demands;
  if (privacy === undefined && regions === undefined && maxCostUsd === undefined) return demands;
  return { ...demands, ...strictest(demands, caller.demands) };
}
