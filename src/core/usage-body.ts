import type { Usage } from './usage.ts';

/** A usage in the words of OpenAI. */
export interface UsageBody {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

export function usageBody(usage: Usage): UsageBody {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedPromptTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  };
}

/** Of texts that were only read. */
export function readingUsageBody(promptTokens: number): Pick<UsageBody, 'prompt_tokens' | 'total_tokens'> {
  return { prompt_tokens: promptTokens, total_tokens: promptTokens };
}
