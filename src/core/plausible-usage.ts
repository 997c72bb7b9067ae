import type { Usage } from './usage.ts';

/** Most tokens that a request can have taken. */
export interface UsageBounds {
  /** Of the prompt. */
  readonly promptTokens: number;
  /** Of the reply, by what it asks for. */
  readonly completionTokens: number;
}

/** No model reads or writes as many at once. */
const MOST_TOKENS = 100_000_000;

/**
 * What a server says that a reply took, if it can be true: whole numbers from 0, within bounds, and no part larger
 * than its whole. Undefined: it cannot be true, and what was counted has to do.
 *
 * There may be more output than was asked for, as servers differ in what they take for a limit; but then no more
 * tokens than the reply has bytes. And there may be more tokens than bytes, as some servers show nothing of their
 * reasoning; but then no more than was asked for.
 *
 * Parts are corrected, as there is no harm in it: a server that reports more cached tokens than prompt tokens has cached all of them at most.
 *
 * @param replyBytes Of the text that came.
 */
export function plausibleUsage(told: Usage, bounds: UsageBounds, replyBytes = 0): Usage | undefined {
  const { promptTokens, completionTokens } = told;
  if (!isCount(promptTokens, bounds.promptTokens)) return undefined;
  if (!isCount(completionTokens, Math.max(bounds.completionTokens, replyBytes))) return undefined;
  const cachedPromptTokens = partOf(promptTokens, told.cachedPromptTokens);
  const reasoningTokens = partOf(completionTokens, told.reasoningTokens);
  // Nearly always there is nothing to correct, and no new object to make.
  if (cachedPromptTokens === told.cachedPromptTokens && reasoningTokens === told.reasoningTokens) return told;
  return { promptTokens, completionTokens, cachedPromptTokens, reasoningTokens };
}

/** It tells of a prompt and of a reply, and could be true of some request. */
export function isWholeUsage({ promptTokens, completionTokens }: Usage): boolean {
  return isTrueCount(promptTokens, MOST_TOKENS) && isTrueCount(completionTokens, MOST_TOKENS);
}

/** From 1. */
export function isTrueCount(tokens: number, most: number): boolean {
  return tokens > 0 && isCount(tokens, most);
}

function isCount(tokens: number, most: number): boolean {
  return Number.isSafeInteger(tokens) && tokens >= 0 && tokens <= most;
}

/** Parts that make no sense are none: nothing is cheaper for it. */
function partOf(whole: number, part: number): number {
  return Number.isSafeInteger(part) && part >= 0 ? Math.min(part, whole) : 0;
}
