import type { RequestDemands } from '../../core/demands.ts';
import { AppError } from '../../core/error.ts';

/** A header's value by its lower-case name. */
export type HeaderReader = (name: string) => string | undefined;

/**
 * What the client wants of the route:
 *
 *   x-qianmen-privacy: local | region | any    who may see the text: this process group, the gateway's region, anybody
 *   x-qianmen-max-cost: 0.002                  US dollars that the request may be expected to cost
 *   x-qianmen-slo-ttft-ms: 500                 time to first token to aim at, where it is shorter than the model's
 *   x-qianmen-session: abc                     requests with the same value go to the same place
 *
 * @param region Where this gateway stands; undefined: the configuration does not say.
 * @throws AppError `invalid_value`
 */
export function requestDemands(header: HeaderReader, region: string | undefined): RequestDemands {
  const privacy = header(PRIVACY);
  const maxCost = header(MAX_COST);
  const ttft = header(TTFT);
  const sessionKey = header(SESSION);
  if (privacy === undefined && maxCost === undefined && ttft === undefined && sessionKey === undefined)
    return NONE;
  if (sessionKey !== undefined && (sessionKey.length === 0 || sessionKey.length > MAX_SESSION_LENGTH))
    throw invalid(SESSION, `must have 1 to ${MAX_SESSION_LENGTH} characters`);
  return {
    ...(privacy === undefined ? {} : privacyDemand(privacy, region)),
    maxCostUsd: maxCost === undefined ? undefined : numberOf(MAX_COST, maxCost, 'US dollars', 0),
    sloTtftMs: ttft === undefined ? undefined : numberOf(TTFT, ttft, 'milliseconds', 1),
    sessionKey,
  };
}

function privacyDemand(text: string, region: string | undefined): RequestDemands {
  switch (text) {
    case 'any':
      return {};
    case 'local':
      return { privacy: 'local' };
    case 'region':
      if (region !== undefined) return { regions: [region] };
      throw invalid(
        PRIVACY,
        'cannot be `region`: this gateway is not configured with the region it stands in',
      );
    default:
      throw invalid(PRIVACY, 'must be `local`, `region` or `any`');
  }
}

function numberOf(name: string, text: string, unit: string, least: number): number {
  const value = /^\d{1,9}(?:\.\d{1,12})?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least) return value;
  throw invalid(name, `must be a number of ${unit}, at least ${least}`);
}

function invalid(name: string, problem: string): AppError {
  return new AppError('invalid_value', { message: `The header ${name} ${problem}.`, param: name });
}

const NONE: RequestDemands = {};
const PRIVACY = 'x-qianmen-privacy';
const MAX_COST = 'x-qianmen-max-cost';
const TTFT = 'x-qianmen-slo-ttft-ms';
const SESSION = 'x-qianmen-session';
const MAX_SESSION_LENGTH = 256;
