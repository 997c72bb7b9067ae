import { randomBytes } from 'node:crypto';
import { SamplerState } from '../../kernels/sampler.ts';
import { AppError } from '../core/error.ts';
import type { Part } from '../core/part.ts';
import type { EngineRequest } from './messages.ts';
import { echoText, type PromptModel, promptTokens } from './prompt-tokens.ts';
import { callableTools, isToolForced } from './request-grammar.ts';
import { Sequence, type TextConstraint } from './sequence.ts';
import { ToolCallDeltas } from './tool-call-deltas.ts';
import { ToolCallReader } from './tool-call-reader.ts';

/**
 * All choices of one request: puts `start` before their first part and `usage` after their last one.
 */
export class Generation {
  readonly id: number;
  readonly sequences: readonly Sequence[];
  readonly #promptTokens: number;
  /** Shown with `start`: what is known without running the model. */
  readonly #opening: readonly Part[];
  /** The first choice of each prompt: the others share its prompt's computation. */
  readonly #firsts: readonly Sequence[];
  #started = false;

  constructor(id: number, sequences: readonly Sequence[], promptTokens: number, opening: readonly Part[]) {
    this.id = id;
    this.sequences = sequences;
    this.#promptTokens = promptTokens;
    this.#opening = opening;
    this.#firsts = sequences.filter((s, i) => s.prompt !== sequences[i - 1]?.prompt);
  }

  get done(): boolean {
    return this.sequences.every((s) => s.done);
  }

  get #cachedTokens(): number {
    return this.#firsts.reduce((sum, s) => sum + s.cachedTokens, 0);
  }

  cancel(): void {
    for (const sequence of this.sequences) sequence.cancel();
  }

  /** What the client gets when its sequences have given `parts`. */
  deliver(parts: readonly Part[]): Part[] {
    const delivered: Part[] = [];
    if (!this.#started) {
      this.#started = true;
      delivered.push(
        { type: 'start', promptTokens: this.#promptTokens, cachedPromptTokens: this.#cachedTokens },
        ...this.#opening,
      );
    }
    delivered.push(...parts);
    if (this.done)
      delivered.push({
        type: 'usage',
        usage: {
          promptTokens: this.#promptTokens,
          completionTokens: this.sequences.reduce((sum, s) => sum + s.generated, 0),
          cachedPromptTokens: this.#cachedTokens,
          reasoningTokens: 0,
        },
      });
    return delivered;
  }
}

export interface GenerationOptions {
  readonly id: number;
  readonly request: EngineRequest;
  readonly model: PromptModel;
  /** Where the request names no seed. */
  readonly randomSeed: () => number;
  /** A constraint for one choice; undefined: its text is free. */
  readonly constraint?: (() => TextConstraint) | undefined;
}

/**
 * Tokenises a request. Choice `i` answers prompt floor(i / n); with a seed, choice i of a prompt draws from seed + i mod n, so
 * that a prompt gives the same choices alone and among others. Throws AppError for what the model cannot do.
 */
export function createGeneration({
  id,
  request,
  model,
  randomSeed,
  constraint,
}: GenerationOptions): Generation {
  const { sampling, stop, n, topLogprobs, echo } = request;
  const { tokenizer, contextTokens } = model;
  if (echo && topLogprobs !== undefined)
    throw new AppError('unsupported_parameter', {
      message: 'This model does not support `echo` together with `logprobs`.',
      param: 'echo',
    });
  for (const token of sampling.logitBias.keys()) {
    if (token >= 0 && token < tokenizer.vocabularySize) continue;
    throw new AppError('invalid_value', {
      message: `\`logit_bias\` names token ${token}, but this model's tokens are 0 to ${tokenizer.vocabularySize - 1}.`,
      param: 'logit_bias',
    });
  }
  const rules = { ...stop, tokenIds: stop.tokenIds.filter((t) => t >= 0 && t < tokenizer.vocabularySize) };
  const sequences: Sequence[] = [];
  const opening: Part[] = [];
  let promptTotal = 0;
  for (const [at, prompt] of request.prompts.entries()) {
    const tokens = promptTokens(prompt, request, model);
    promptTotal += tokens.length;
    for (let i = 0; i < n; i++) {
      const index = at * n + i;
      if (echo) opening.push({ type: 'text-delta', index, text: echoText(prompt, model), tokens: 0 });
      if (stop.maxTokens === 0) {
        opening.push({ type: 'finish', index, reason: 'length' });
        continue;
      }
      sequences.push(
        new Sequence({
          request: id,
          index,
          prompt: tokens,
          cacheSalt: request.cacheSalt,
          tokenLimit: Math.min(stop.maxTokens ?? Number.POSITIVE_INFINITY, contextTokens - tokens.length),
          stop: rules,
          sampler: new SamplerState({
            parameters: sampling,
            promptTokens: tokens,
            seed: sampling.seed === undefined ? randomSeed() : sampling.seed + i,
          }),
          tokens: tokenizer,
          topLogprobs,
          constraint: constraint?.(),
          toolCalls: toolCallDeltas(index, request, model),
        }),
      );
    }
  }
  return new Generation(id, sequences, promptTotal, opening);
}

function toolCallDeltas(
  index: number,
  request: EngineRequest,
  model: PromptModel,
): ToolCallDeltas | undefined {
  const tools = callableTools(request);
  if (tools.length === 0 || model.template === undefined) return undefined;
  return new ToolCallDeltas({
    index,
    reader: new ToolCallReader({
      dialect: model.template.dialect,
      names: new Set(tools.map(({ name }) => name)),
      forced: isToolForced(request),
    }),
    single: !request.parallelToolCalls,
    newId: () => `call_${randomBytes(12).toString('hex')}`,
  });
}
