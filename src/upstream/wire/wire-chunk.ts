import type { FinishReason } from '../../core/part.ts';
import type { Usage } from '../../core/usage.ts';

/** A reply or a chunk of one, parsed; nothing about it is certain. */
export type Wire = Readonly<Record<string, unknown>>;

export function asWire(value: unknown): Wire {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Wire) : {};
}

export function choicesOf(wire: Wire): readonly Wire[] {
  return Array.isArray(wire.choices) ? wire.choices.map(asWire) : [];
}

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
 * With all reasoning, which some servers count beside the completion (xAI) or in the sum alone (Gemini). Where they say how much that
 * was, whatever else is in the sum was not written.
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
 * Of a reply to a text that was only read, as embeddings are: some servers tell nothing but a sum (Voyage, Jina, older vLLM), and
 * those that tell of no tokens at all (LM Studio) have not counted.
 */
export function readingUsageOf(wire: Wire): Usage | undefined {
  const { prompt_tokens, total_tokens } = asWire(wire.usage);
  const promptTokens = count(prompt_tokens) || count(total_tokens);
  if (promptTokens === 0) return undefined;
  return { promptTokens, completionTokens: 0, cachedPromptTokens: 0, reasoningTokens: 0 };
}

/** As it was said: whether it can be true is for others to judge. */
function count(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

/** Undefined while the choice goes on. A reason that we do not know ends it all the same. */
export function finishReasonOf(choice: Wire): FinishReason | undefined {
  switch (choice.finish_reason) {
    case null:
    case undefined:
    // Some say so of every chunk.
    case '':
      return undefined;
    case 'length':
      return 'length';
    case 'tool_calls':
    case 'function_call':
      return 'tool-calls';
    case 'content_filter':
      return 'content-filter';
    default:
      return 'stop';
  }
}

/** The choice of a chunk or a reply brings text, reasoning, a tool call, sound or a picture. */
export function hasContent(choice: Wire): boolean {
  return contentsOf(choice).some((content) =>
    Array.isArray(content) ? content.length > 0 : isText(content) || isObject(content),
  );
}

/** How many tokens a choice may have where the reply does not say; at least one. */
export function tokensOf(choice: Wire): number {
  return Math.max(1, tokensIn(charsIn(contentsOf(choice))));
}

/** How many tokens so many characters may be. */
export function tokensIn(chars: number): number {
  return Math.ceil(chars / USUAL_CHARS_PER_TOKEN);
}

const USUAL_CHARS_PER_TOKEN = 4;

function contentsOf(choice: Wire): readonly unknown[] {
  const body = asWire(choice.delta ?? choice.message);
  return [
    body.content,
    choice.text,
    body.reasoning,
    body.reasoning_content,
    body.refusal,
    body.tool_calls,
    body.function_call,
    body.audio,
    body.images,
  ];
}

/** Counts all text in it, also in parts and in the arguments of calls, but not base64. */
function charsIn(content: unknown): number {
  if (typeof content === 'string') return content.length;
  if (Array.isArray(content)) return content.reduce<number>((sum, part) => sum + charsIn(part), 0);
  const { text, thinking, transcript, function: called, name, arguments: given } = asWire(content);
  return [text, thinking, transcript, called, name, given].reduce<number>(
    (sum, part) => (part === undefined ? sum : sum + charsIn(part)),
    0,
  );
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0;
}

/**
 * The error that a server put into a reply or a chunk with status 200, if it did: as OpenAI has it, as older vLLM (`object`), Anthropic
 * (`type`), Gemini (a list), FastAPI (`detail`), and gateways do; also in a choice (OpenRouter).
 */
export function errorOf(parsed: unknown): unknown {
  if (Array.isArray(parsed)) return parsed.length > 0 ? parsed : undefined;
  const wire = asWire(parsed);
  if (isSaid(wire.error)) return wire.error;
  if (wire.object === 'error') return wire;
  const choices = choicesOf(wire);
  if (choices.length > 0)
    return choices.find((choice) => isSaid(choice.error) || choice.finish_reason === 'error');
  if (wire.data !== undefined || wire.results !== undefined) return undefined;
  const isError = wire.type === 'error' || isSaid(wire.errors) || isSaid(wire.detail) || isSaid(wire.message);
  return isError ? wire : undefined;
}

/** Some say of every reply that it is none. */
function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== '' && value !== 0;
}

/** Choices are numbered from 0; a server that makes only one may leave the number out. */
export function indexOf(choice: Wire): number {
  return typeof choice.index === 'number' ? choice.index : 0;
}
