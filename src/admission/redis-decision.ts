import type { Limits } from '../core/caller.ts';
import type { RateStatus } from '../core/error.ts';
import { leftOf } from './leaky-bucket.ts';
import { tighter } from './local-admission.ts';
import type { Periods } from './periods.ts';
import { type Obstacle, type Spent, spentObstacle, type Wanted } from './subject.ts';
import type { Party } from './subjects.ts';

/** Of the limits, in the order that the script has them. */
const LIMITS = [
  'requestsPerMinute',
  'tokensPerMinute',
  'concurrency',
  'nanoUsdPerDay',
  'nanoUsdPerMonth',
] as const satisfies readonly (keyof Limits)[];
/** By the number that the script replies; beyond these come the budgets again, of which the rest is held. */
const OBSTACLES = [
  'concurrency',
  'requestsPerMinute',
  'tokensPerMinute',
  'nanoUsdPerDay',
  'nanoUsdPerMonth',
] as const satisfies readonly (keyof Limits)[];
const BUDGETS = 2;
/** One tag, so that a cluster has all keys in one place: a script sees them together. */
export const TAG = '{qianmen}';

export interface Terms {
  /** Of the reservation. */
  readonly id: string;
  readonly wanted: Wanted;
  readonly periods: Periods;
  readonly leaseMs: number;
}

export interface Level {
  readonly requests: number;
  readonly tokens: number;
  /** Where what was taken of the tokens ends, as exactly as Redis has it. */
  readonly end: string;
}

export interface Reply {
  /** Which of those asked about, from 1; 0: none. */
  readonly refusedBy: number;
  readonly limit: (typeof OBSTACLES)[number];
  /** Of a budget: @see Obstacle. */
  readonly isHeld: boolean;
  /** When one that is refused is told to come back; undefined: that does not help, or is for the budget's period to say. */
  readonly retryAfterMs: number | undefined;
  /** Of the counters: changes when Redis has lost them. */
  readonly epoch: string;
  readonly levels: readonly Level[];
}

export function isLimited(limits: Limits): boolean {
  return LIMITS.some((name) => limits[name] !== undefined);
}

/** What the script is told after its step: @see SCRIPTS.admit. */
export function argsOf(
  { id, wanted, periods, leaseMs }: Terms,
  parties: readonly Party[],
  spent: readonly Spent[],
): string[] {
  const { tokens, nanoUsd, mostNanoUsd } = wanted;
  const { day, month } = periods;
  return [
    ...[leaseMs, id, tokens, nanoUsd, mostNanoUsd, day, month].map(String),
    ...parties.flatMap(({ limits }, at) => [
      ...LIMITS.map((name) => `${limits[name] ?? ''}`),
      `${spent[at]!.day}`,
      `${spent[at]!.month}`,
    ]),
  ];
}

export function replyOf(reply: unknown): Reply {
  if (!Array.isArray(reply)) throw new Error('Redis replied with something else than a decision');
  const [refusedBy, limit, retryAfterMs, epoch = '', ...rest] = reply.map(String);
  const levels: Level[] = [];
  for (let i = 0; i + 2 < rest.length; i += 3)
    levels.push({ requests: Number(rest[i]), tokens: Number(rest[i + 1]), end: rest[i + 2]! });
  const isHeld = Number(limit) > OBSTACLES.length;
  const number = isHeld ? Number(limit) - BUDGETS : Number(limit);
  return {
    refusedBy: Number(refusedBy),
    limit: OBSTACLES[number - 1] ?? 'concurrency',
    isHeld,
    retryAfterMs: retryAfterMs === '' ? undefined : Number(retryAfterMs),
    epoch,
    levels,
  };
}

export function renewedOf(reply: unknown): { readonly replicas: number; readonly epoch: string } {
  if (!Array.isArray(reply)) throw new Error('Redis replied with something else than a renewal');
  return { replicas: Number(reply[0]), epoch: String(reply[1]) };
}

export function rateOf(parties: readonly Party[], { levels }: Reply): RateStatus {
  let requests: RateStatus['requests'];
  let tokens: RateStatus['tokens'];
  for (const [at, { kind, limits }] of parties.entries()) {
    // How much others leave of a model is not for callers to know.
    if (kind === 'model') continue;
    const { requestsPerMinute, tokensPerMinute } = limits;
    const level = levels[at]!;
    if (requestsPerMinute !== undefined)
      requests = tighter(requests, leftOf(level.requests, requestsPerMinute));
    if (tokensPerMinute !== undefined) tokens = tighter(tokens, leftOf(level.tokens, tokensPerMinute));
  }
  return { requests, tokens };
}

export function keysOf({ kind, id }: Party): [hash: string, leases: string] {
  return [`${TAG}:use:${kind}:${id}`, `${TAG}:leases:${kind}:${id}`];
}

export function obstacleOf({ limit, isHeld, retryAfterMs }: Reply, periods: Periods): Obstacle {
  const isSpent = !isHeld && (limit === 'nanoUsdPerDay' || limit === 'nanoUsdPerMonth');
  return isSpent ? spentObstacle(limit, periods) : { limit, isHeld, retryAfterMs };
}
