import type { Config } from './schema.ts';

/** What to do where nothing is served: an upstream by itself can be asked by nobody. Undefined: something is. */
export function nothingServed({ engines, models }: Config): string | undefined {
  if (engines.length + models.length > 0) return undefined;
  return 'name in `models` what clients may ask for, with a deployment at an upstream each';
}
