import { type Candidate, PRIVACY_CLASSES, type PrivacyClass } from './candidate.ts';
import { expectedCostUsd } from './cost.ts';
import type { Constraints, RequestFeatures } from './request.ts';

/** Why a deployment may not serve a request, whatever the load. */
export type Obstacle =
  | { readonly kind: 'capability'; readonly missing: string }
  | { readonly kind: 'context' }
  | { readonly kind: 'privacy' }
  | { readonly kind: 'region' }
  | { readonly kind: 'cost' }
  | { readonly kind: 'quality' };

/** What does not change about a candidate from one request to the next. */
export type Standing = Omit<Candidate, 'ready' | 'inFlight' | 'capacity'>;

/**
 * The one place that decides what is allowed. Undefined: the deployment may serve the request.
 *
 * @param constraints At least as strict as those that the request came with.
 */
export function obstacle(
  candidate: Standing,
  request: RequestFeatures,
  constraints = request.constraints,
): Obstacle | undefined {
  const { privacy, regions, maxCostUsd, minQuality } = constraints;
  if (!isWithinPrivacy(candidate.privacy, privacy)) return { kind: 'privacy' };
  if (regions !== undefined && !isWithinRegions(candidate, regions)) return { kind: 'region' };
  const { capabilities } = candidate;
  if (capabilities !== undefined) {
    const missing = request.needs.find((need) => !capabilities.has(need));
    if (missing !== undefined) return { kind: 'capability', missing };
  }
  const { contextTokens } = candidate;
  if (contextTokens !== undefined && request.promptTokens + (request.maxOutputTokens ?? 1) > contextTokens)
    return { kind: 'context' };
  if (minQuality !== undefined && (candidate.quality ?? 1) < minQuality) return { kind: 'quality' };
  if (maxCostUsd !== undefined && leastCostUsd(candidate, request) > maxCostUsd) return { kind: 'cost' };
  return undefined;
}

/** Whether text would reach somebody who must not see it: never to be tried, whatever else is down. */
export function isForbidden(candidate: Standing, { privacy, regions }: Constraints): boolean {
  if (!isWithinPrivacy(candidate.privacy, privacy)) return true;
  return regions !== undefined && !isWithinRegions(candidate, regions);
}

function isWithinPrivacy(actual: PrivacyClass = 'public', demanded: PrivacyClass = 'public'): boolean {
  return PRIVACY_CLASSES.indexOf(actual) <= PRIVACY_CLASSES.indexOf(demanded);
}

function isWithinRegions({ region, privacy }: Standing, regions: readonly string[]): boolean {
  return region === undefined ? privacy === 'local' : regions.includes(region);
}

/** What the request is expected to cost if nothing of its prompt is cached. */
function leastCostUsd({ price }: Standing, request: RequestFeatures): number {
  if (price === undefined) return 0;
  const { likelyOutputTokens, expectedOutputTokens, maxOutputTokens, promptTokens, media } = request;
  const output = likelyOutputTokens ?? expectedOutputTokens ?? maxOutputTokens ?? 0;
  return expectedCostUsd({ price }, { uncached: promptTokens, cached: 0, output }, 0, media);
}

/** What satisfies both: nobody can loosen what another demanded. */
export function strictest(a: Constraints, b: Constraints): Constraints {
  if (demandsNothing(b)) return a;
  const classes = PRIVACY_CLASSES.filter((privacy) => a.privacy === privacy || b.privacy === privacy);
  return {
    privacy: classes[0],
    regions:
      a.regions && b.regions ? a.regions.filter((r) => b.regions?.includes(r)) : (a.regions ?? b.regions),
    maxCostUsd: least(a.maxCostUsd, b.maxCostUsd),
    minQuality: most(a.minQuality, b.minQuality),
  };
}

function demandsNothing({ privacy, regions, maxCostUsd, minQuality }: Constraints): boolean {
  return (
    (privacy === undefined || privacy === PRIVACY_CLASSES.at(-1)) &&
    regions === undefined &&
    maxCostUsd === undefined &&
    minQuality === undefined
  );
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function most(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}
