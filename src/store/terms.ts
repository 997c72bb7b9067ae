import { PRIVACY_CLASSES } from '../../routers/candidate.ts';
import type { Limits } from '../core/caller.ts';
import type { RouteDemands } from '../core/demands.ts';
import { AppError } from '../core/error.ts';
import type { LimitColumns, OwnerColumns } from './schema.ts';

/** What organizations, projects and keys have in common. */
export interface Terms {
  /** For people: 1 to 200 characters. */
  readonly name: string;
  readonly limits: Limits;
  readonly demands: RouteDemands;
}

/** Undefined: stays as it is. Null: there is none any more. */
export type Change<T> = { readonly [K in keyof T]?: T[K] | null | undefined };

export interface TermsChange {
  readonly name?: string | undefined;
  readonly limits?: Change<Limits> | undefined;
  readonly demands?: Change<RouteDemands> | undefined;
}

export const NO_TERMS: Omit<Terms, 'name'> = { limits: {}, demands: {} };

/** @throws AppError `invalid_value` */
export function changedTerms(before: Terms, { name = before.name, limits, demands }: TermsChange): Terms {
  checkName(name);
  const changed = { name, limits: merged(before.limits, limits), demands: merged(before.demands, demands) };
  checkLimits(changed.limits);
  checkDemands(changed.demands);
  return changed;
}

export function merged<T extends object>(before: T, change: Change<T> = {}): T {
  const given = Object.entries(change).filter(([, value]) => value !== undefined);
  const all = Object.entries({ ...before, ...Object.fromEntries(given) });
  return Object.fromEntries(all.filter(([, value]) => value !== null)) as T;
}

export const LIMIT_COLUMNS = {
  requestsPerMinute: 'requests_per_minute',
  tokensPerMinute: 'tokens_per_minute',
  concurrency: 'concurrency',
  nanoUsdPerDay: 'nano_usd_per_day',
  nanoUsdPerMonth: 'nano_usd_per_month',
} as const satisfies Record<keyof Limits, keyof LimitColumns>;

const LIMITS = Object.entries(LIMIT_COLUMNS) as [keyof Limits, keyof LimitColumns][];

export function limitsOf(column: (name: keyof LimitColumns) => number | null): Limits {
  const pairs = LIMITS.map(([limit, name]) => [limit, column(name)] as const);
  return Object.fromEntries(pairs.filter(([, value]) => value !== null));
}

export function termsOf(row: OwnerColumns): Terms {
  return { name: row.name, limits: limitsOf((name) => row[name]), demands: JSON.parse(row.demands) };
}

export function termsColumns({ name, limits, demands }: Terms): Omit<OwnerColumns, 'id' | 'created_at_ms'> {
  const columns = LIMITS.map(([limit, column]) => [column, limits[limit] ?? null] as const);
  return {
    name,
    demands: JSON.stringify(demands),
    ...(Object.fromEntries(columns) as unknown as LimitColumns),
  };
}

function checkName(name: string): void {
  if (!isText(name))
    throw invalid(
      'name',
      'must have 1 to 200 characters, nothing that cannot be seen among them, and no space at either end',
    );
}

/** PostgreSQL takes no NUL, and terminals should not be told what to do. */
export function isText(text: string): boolean {
  return /^\P{C}{1,200}$/u.test(text) && text.trim() === text;
}

function checkLimits(limits: Limits): void {
  for (const [name] of LIMITS) {
    const least = name.startsWith('nanoUsd') ? 0 : 1;
    const value = limits[name] ?? least;
    if (!Number.isSafeInteger(value) || value < least)
      throw invalid(`limits.${name}`, `must be a whole number from ${least} to ${Number.MAX_SAFE_INTEGER}`);
  }
}

function checkDemands({ privacy, regions, maxCostUsd }: RouteDemands): void {
  if (privacy !== undefined && !PRIVACY_CLASSES.includes(privacy))
    throw invalid('demands.privacy', `must be one of ${PRIVACY_CLASSES.join(', ')}`);
  if (regions !== undefined && (regions.length === 0 || !regions.every(isText)))
    throw invalid('demands.regions', 'must name at least one region');
  if (maxCostUsd !== undefined && !(maxCostUsd >= 0 && maxCostUsd < Number.POSITIVE_INFINITY))
    throw invalid('demands.maxCostUsd', 'must be a number from 0');
}

export function invalid(param: string, message: string): AppError {
  return new AppError('invalid_value', { param, message: `\`${param}\` ${message}.` });
}
