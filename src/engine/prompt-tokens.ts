import { AppError } from '../core/error.ts';
import type { GenerateRequest, Prompt } from '../core/request.ts';
import type { ChatTemplate } from './chat-template.ts';
import type { Piece, PieceMemory } from './piece-memory.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What turns a prompt into tokens. */
export interface PromptModel {
  readonly tokenizer: Tokenizer;
  /** Undefined where the model file has none: chat is refused then. */
  readonly template: ChatTemplate | undefined;
  /** Longest prompt + output. */
  readonly contextTokens: number;
  /** What pieces of chats became before; undefined: nothing is remembered. */
  readonly pieces?: PieceMemory;
}

/** Longer texts are tokenised by a beginning of this many characters per context token first; ordinary text has 4. */
const PROBE_CHARS_PER_TOKEN = 16;

/**
 * The tokens of one prompt. Throws AppError: `invalid_value` for what cannot be a prompt, `context_length_exceeded` when
 * no token of output would fit behind it, without tokenising all of a text that is far too long.
 */
export function promptTokens(prompt: Prompt, request: GenerateRequest, model: PromptModel): number[] {
  const tokens = encodePrompt(prompt, request, model);
  if (tokens.length === 0) {
    if (model.tokenizer.bosId === undefined)
      throw new AppError('invalid_value', { message: 'The prompt is empty.', param: paramOf(prompt) });
    return [model.tokenizer.bosId];
  }
  checkRoom(tokens.length, false, prompt, request, model);
  return tokens;
}

/** The text that `echo` repeats. */
export function echoText(prompt: Prompt, model: PromptModel): string {
  if (prompt.kind === 'text') return prompt.text;
  return prompt.kind === 'tokens' ? model.tokenizer.decode(prompt.tokens) : '';
}

function encodePrompt(prompt: Prompt, request: GenerateRequest, model: PromptModel): number[] {
  const { tokenizer } = model;
  switch (prompt.kind) {
    case 'tokens': {
      const unknown = prompt.tokens.find(
        (id) => !(Number.isInteger(id) && id >= 0 && id < tokenizer.vocabularySize),
      );
      if (unknown !== undefined)
        throw new AppError('invalid_value', {
          message: `The prompt holds token ${unknown}, but this model's tokens are 0 to ${tokenizer.vocabularySize - 1}.`,
          param: 'prompt',
        });
      return [...prompt.tokens];
    }
    case 'text': {
      refuseFarTooLong(prompt.text, prompt, request, model);
      // Whoever writes a raw prompt writes all of it, control tokens included, as with vLLM and llama.cpp.
      const tokens = tokenizer.encode(prompt.text, { control: true });
      return withBos(tokens, tokenizer);
    }
    case 'chat': {
      if (model.template === undefined)
        throw new AppError('invalid_value', {
          message: `The model \`${request.model}\` has no chat template; use /v1/completions.`,
          param: 'messages',
        });
      const tools = request.toolChoice === 'none' ? [] : request.tools;
      const rendered = model.template.render(prompt.messages, tools, request.templateVariables);
      refuseFarTooLong(rendered.text, prompt, request, model);
      const salt = request.cacheSalt ?? '';
      const tokens: number[] = [];
      for (const [i, piece] of tokenizer.splitControl(rendered.text).entries()) {
        if (typeof piece === 'number') tokens.push(piece);
        else appendAll(tokens, encodePiece({ text: rendered.restore(piece), continued: i > 0, salt }, model));
      }
      return withBos(tokens, tokenizer);
    }
  }
}

function encodePiece(piece: Piece, { tokenizer, pieces }: PromptModel): Iterable<number> {
  const { text, continued } = piece;
  const encode = () => tokenizer.encode(text, { control: false, continued });
  return pieces === undefined ? encode() : pieces.tokensOf(piece, encode);
}

function withBos(tokens: number[], { addBos, bosId }: Tokenizer): number[] {
  return addBos && bosId !== undefined && tokens[0] !== bosId ? [bosId, ...tokens] : tokens;
}

/** `push(...tokens)` overflows the stack for long prompts. */
function appendAll(to: number[], from: Iterable<number>): void {
  for (const token of from) to.push(token);
}

function refuseFarTooLong(text: string, prompt: Prompt, request: GenerateRequest, model: PromptModel): void {
  const { tokenizer, contextTokens } = model;
  const probeChars = contextTokens * PROBE_CHARS_PER_TOKEN;
  if (text.length <= probeChars) return;
  checkRoom(tokenizer.fewestTokens(text), true, prompt, request, model);
  const probe = tokenizer.encode(text.slice(0, probeChars), { control: true });
  // The cut may split one word differently; a few tokens of slack cover it.
  checkRoom(probe.length - 8, true, prompt, request, model);
}

function checkRoom(
  promptLength: number,
  atLeast: boolean,
  prompt: Prompt,
  request: GenerateRequest,
  { contextTokens }: PromptModel,
): void {
  const { maxTokens } = request.stop;
  const completion = maxTokens ?? 0;
  const fits =
    promptLength + completion <= contextTokens && (promptLength < contextTokens || maxTokens === 0);
  if (fits) return;
  const where = prompt.kind === 'chat' ? 'messages' : 'prompt';
  const least = atLeast ? 'at least ' : '';
  throw new AppError('context_length_exceeded', {
    message:
      `This model's maximum context length is ${contextTokens} tokens. However, you requested ${least}` +
      `${promptLength + completion} tokens (${least}${promptLength} in the ${where}, ${completion} in the completion). ` +
      `Please reduce the length of the ${where} or of the completion.`,
    param: paramOf(prompt),
  });
}

function paramOf(prompt: Prompt): string {
  return prompt.kind === 'chat' ? 'messages' : 'prompt';
}
