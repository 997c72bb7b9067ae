import type { Limits } from '../core/caller.ts';
import { AppError, type RateStatus } from '../core/error.ts';
import type { Obstacle, Wanted } from './subject.ts';

/** Whose limit it is. */
export type SubjectKind = 'key' | 'project' | 'organization' | 'model';

const WHOSE = {
  key: 'of this API key',
  project: 'of its project',
  organization: 'of its organization',
  model: 'of the model',
} as const satisfies Record<SubjectKind, string>;

const BUDGET = { nanoUsdPerDay: 'budget of the day', nanoUsdPerMonth: 'budget of the month' } as const;

const COUNTED = {
  requestsPerMinute: ['request', 'per minute'],
  tokensPerMinute: ['token', 'per minute'],
  concurrency: ['request', 'at a time'],
} as const satisfies Record<Exclude<keyof Limits, keyof typeof BUDGET>, readonly [string, string]>;

/**
 * Says which limit stands in the way, whose it is and when to come back. It does not say how much others under the
 * same limit use, or have left.
 *
 * @param part What each of several processes gives out of the limits, where they do not count together.
 */
export function refusal(
  { limit, retryAfterMs, isHeld }: Obstacle,
  kind: SubjectKind,
  limits: Limits,
  wanted: Wanted,
  rate: RateStatus,
  part = limits,
): AppError {
  const whose = WHOSE[kind];
  if (limit === 'nanoUsdPerDay' || limit === 'nanoUsdPerMonth') {
    if (isHeld)
      return new AppError('rate_limit_exceeded', {
        message: `What is left of the ${BUDGET[limit]} ${whose} is held for requests that run, and free again as they end.`,
        retryAfterMs,
        rate,
      });
    return new AppError('insufficient_quota', {
      message: `${part === limits ? 'The' : "What one of the gateway's processes gives out of the"} ${BUDGET[limit]} ${whose} does not suffice for this request.`,
      retryAfterMs,
      rate,
    });
  }
  const most = limits[limit];
  const ofWhich =
    part === limits ? '' : `, of which each of the gateway's processes gives out ${part[limit]} by itself`;
  if (limit === 'tokensPerMinute' && retryAfterMs === undefined)
    return new AppError('rate_limit_exceeded', {
      message: `The request may take ${wanted.tokens} tokens; the limit ${whose} is ${most} per minute${ofWhich}, so it can never pass. Ask for less with max_tokens, or shorten the prompt.`,
      rate,
    });
  const [what, when] = COUNTED[limit];
  return new AppError('rate_limit_exceeded', {
    message: `The limit ${whose} is reached: ${most} ${most === 1 ? what : `${what}s`} ${when}${ofWhich}.`,
    retryAfterMs,
    rate,
  });
}
