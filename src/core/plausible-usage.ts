import type { Usage } from './usage.ts';

/** Most tokens that a reply can have taken. */
export interface UsageBounds {
  /** Of the prompt. */
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/**
 * What a server says that a reply took, if it can be true: whole numbers from 0, within bounds, and no part larger than its whole. Undefined:
 * it cannot, and what was counted has to do.
 *
 * Parts are corrected, as there is no harm in it: a server that reports more cached tokens than prompt tokens has cached all of them at most.
 */
export function plausibleUsage(told: Usage, bounds: UsageBounds): Usage | undefined {
  const { promptTokens, completionTokens } = told;
  if (!isCount(promptTokens, bounds.promptTokens)) return undefined;
  if (!isCount(completionTokens, bounds.completionTokens)) return undefined;
  const cachedPromptTokens = partOf(promptTokens, told.cachedPromptTokens);
  const reasoningTokens = partOf(completionTokens, told.reasoningTokens);
  // Nearly always there is nothing to correct, and nothing to make anew.
  if (cachedPromptTokens === told.cachedPromptTokens && reasoningTokens === told.reasoningTokens) return told;
  return { promptTokens, completionTokens, cachedPromptTokens, reasoningTokens };
}

function isCount(tokens: number, most: number): boolean {
  return Number.isSafeInteger(tokens) && tokens >= 0 && tokens <= most;
}

/** Parts that make no sense are none: nothing is cheaper for it. */
function partOf(whole: number, part: number): number {
  return Number.isSafeInteger(part) && part >= 0 ? Math.min(part, whole) : 0;
}
