import { type Media, NO_MEDIA } from '../../../routers/request.ts';
import type { UsageBounds } from '../../core/plausible-usage.ts';
import { choiceCount, type GenerateRequest } from '../../core/request.ts';

/** A template, and tools that a server adds by itself, are tokens that no byte of the request stands for. */
const UNSEEN_PROMPT_TOKENS = 65_536;
/** Pictures and sound have more tokens than their addresses have bytes. */
const MEDIA_TOKENS = 1_000_000;
/** Servers count stop tokens, and end a little late. */
const UNSEEN_OUTPUT_TOKENS = 4_096;
/** Per choice, where the request does not say. */
const MOST_OUTPUT_TOKENS = 1_000_000;

/**
 * The most tokens that a request can have taken, by its bytes and by what it asks for: a token stands for at least a
 * byte. The reply's bytes bound it further (`plausibleUsage`).
 */
export function usageBounds(request: GenerateRequest, media: Media): UsageBounds {
  const { wire, stop } = request;
  const choices = choiceCount(request);
  const { maxTokens } = stop;
  return {
    promptTokens: wire.body.length + UNSEEN_PROMPT_TOKENS + (media === NO_MEDIA ? 0 : MEDIA_TOKENS),
    completionTokens:
      maxTokens === undefined ? MOST_OUTPUT_TOKENS * choices : maxTokens * choices + UNSEEN_OUTPUT_TOKENS,
  };
}

/** The same for a text that is read and not continued. */
export function readingBounds(bodyBytes: number): UsageBounds {
  return { promptTokens: bodyBytes + UNSEEN_PROMPT_TOKENS, completionTokens: UNSEEN_OUTPUT_TOKENS };
}
