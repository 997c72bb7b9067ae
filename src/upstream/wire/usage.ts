import type { Usage } from '../../core/usage.ts';
import { asWire, choicesOf, type Wire } from './wire-chunk.ts';

/** Where it stands: Moonshot tells it in the choice that finishes, and so did Groq in a field of its own. */
export function usageOf(wire: Wire, choices = choicesOf(wire)): Usage | undefined {
  return readUsage(wire.usage) ?? readUsage(choices[0]?.usage) ?? readUsage(asWire(wire.x_groq).usage);
}

function readUsage(told: unknown): Usage | undefined {
  const usage = asWire(told);
  if (typeof usage.prompt_tokens !== 'number') return undefined;
  return {
    promptTokens: usage.prompt_tokens,
    completionTokens: writtenOf(usage),
    cachedPromptTokens: cachedOf(usage),
    reasoningTokens: count(asWire(usage.completion_tokens_details).reasoning_tokens),
  };
}

/**
 * With all reasoning, which some servers count beside the completion (xAI) or in the sum alone (Gemini). Where they
 * say how much that was, whatever else is in the sum was not written.
 */
function writtenOf({
  prompt_tokens,
  completion_tokens,
  total_tokens,
  completion_tokens_details,
}: Wire): number {
  const completion = count(completion_tokens);
  const rest = count(total_tokens) - count(prompt_tokens);
  const isTold = completion_tokens !== undefined && completion_tokens !== null;
  // Where the prompt is not counted, the sum says nothing of the reply.
  if (isTold && count(prompt_tokens) === 0) return completion;
  const { reasoning_tokens } = asWire(completion_tokens_details);
  const most = isTold && typeof reasoning_tokens === 'number' ? completion + reasoning_tokens : rest;
  return Math.max(completion, Math.min(rest, most));
}

/** Moonshot and DeepSeek tell it in words of their own. */
function cachedOf({ prompt_tokens_details, cached_tokens, prompt_cache_hit_tokens }: Wire): number {
  return count(asWire(prompt_tokens_details).cached_tokens ?? cached_tokens ?? prompt_cache_hit_tokens);
}

/**
 * Of a reply to a text that was only read, as embeddings are: some servers tell nothing but a sum (Voyage, Jina,
 * older vLLM), and those that tell of no tokens at all (LM Studio) have not counted.
 */
export function readingUsageOf(wire: Wire): Usage | undefined {
  const { prompt_tokens, total_tokens } = asWire(wire.usage);
  const promptTokens = count(prompt_tokens) || count(total_tokens);
  if (promptTokens === 0) return undefined;
  return { promptTokens, completionTokens: 0, cachedPromptTokens: 0, reasoningTokens: 0 };
}

/** Also of one that cannot be read. */
export function tellsUsage({ usage }: Wire): boolean {
  return usage !== undefined && usage !== null;
}

/** Beside the place where OpenAI has it. */
export function tellsUsageInside({ x_groq }: Wire, choices: readonly Wire[]): boolean {
  return (x_groq !== undefined && tellsUsage(asWire(x_groq))) || choices.some(tellsUsage);
}

/** As it was said: whether it can be true is for others to judge. */
function count(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
