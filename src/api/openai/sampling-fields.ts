import { z } from 'zod';
import { AppError } from '../../core/error.ts';
import type { Sampling, StopRules } from '../../core/sampling.ts';
import { boundedArray, MAX_TOKEN_ID, optional } from './field.ts';
import { invalidValue, printable } from './invalid-request.ts';
import type { RequestLimits } from './limits.ts';

/** The fields that chat and completions share. */
export function generationShape(limits: RequestLimits) {
  const stopString = z.string().min(1).max(limits.stopStringLength);
  return {
    model: z.string().min(1).max(512),
    n: optional(z.int().min(1).max(limits.n)),
    best_of: optional(z.int().min(1)),
    user: optional(z.string()),
    priority: optional(z.int()),
    stream: optional(z.boolean()),
    stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
    temperature: optional(z.number().min(0).max(2)),
    top_p: optional(z.number().gt(0).max(1)),
    top_k: optional(z.int().min(-1)),
    min_p: optional(z.number().min(0).max(1)),
    typical_p: optional(z.number().gt(0).max(1)),
    frequency_penalty: optional(z.number().min(-2).max(2)),
    presence_penalty: optional(z.number().min(-2).max(2)),
    repetition_penalty: optional(z.number().gt(0).max(10)),
    logit_bias: optional(z.custom<object>(isRecord, 'must be an object of token id to bias')),
    // Clients send the whole int64 range, which JSON numbers hold only nearly: any whole number is a seed.
    seed: optional(z.custom<number>(Number.isInteger, 'must be an integer')),
    stop: optional(z.union([stopString, boundedArray(stopString, limits.stopStrings)])),
    stop_token_ids: optional(boundedArray(z.int().min(0).max(MAX_TOKEN_ID), limits.stopTokenIds)),
    min_tokens: optional(z.int().min(0)),
    ignore_eos: optional(z.boolean()),
    include_stop_str_in_output: optional(z.boolean()),
    cache_salt: optional(z.string().min(1).max(512)),
  };
}

/** Of a request that asks for none. */
export const NO_BIAS: ReadonlyMap<number, number> = new Map();

type GenerationFields = z.output<z.ZodObject<ReturnType<typeof generationShape>>>;

/** A server would compute more choices than it is asked for, tell of none of them, and may not count them. */
export function refuseBestOf({ best_of: candidates, n }: GenerationFields): void {
  const choices = n ?? 1;
  if (!candidates || candidates === choices) return;
  throw new AppError('unsupported_parameter', {
    message: `\`best_of\` must be equal to \`n\`, which is ${choices}: choosing among more candidates is not supported.`,
    param: 'best_of',
  });
}

/** What is left out stays open: the model may have a default of its own. `top_k` -1 and 0 both mean off. */
export function toSampling(fields: GenerationFields, limits: RequestLimits): Sampling {
  return {
    temperature: fields.temperature ?? undefined,
    topP: fields.top_p ?? undefined,
    topK: typeof fields.top_k === 'number' ? Math.max(fields.top_k, 0) : undefined,
    minP: fields.min_p ?? undefined,
    typicalP: fields.typical_p ?? undefined,
    frequencyPenalty: fields.frequency_penalty ?? 0,
    presencePenalty: fields.presence_penalty ?? 0,
    repetitionPenalty: fields.repetition_penalty ?? undefined,
    logitBias: fields.logit_bias ? toLogitBias(fields.logit_bias, limits.logitBiasEntries) : NO_BIAS,
    seed: fields.seed ?? undefined,
  };
}

/** `maxTokens` comes from the endpoint, which names and defaults it in its own way. */
export function toStopRules(fields: GenerationFields, maxTokens: number | undefined): StopRules {
  const minTokens = fields.min_tokens ?? 0;
  if (maxTokens !== undefined && minTokens > maxTokens)
    throw invalidValue(
      'min_tokens',
      `must be at most max_tokens, which is ${maxTokens}, but is ${minTokens}`,
    );
  const stop = fields.stop ?? [];
  return {
    maxTokens,
    minTokens,
    strings: typeof stop === 'string' ? [stop] : stop,
    tokenIds: fields.stop_token_ids ?? [],
    ignoreEos: fields.ignore_eos ?? false,
    includeStopString: fields.include_stop_str_in_output ?? false,
  };
}

function toLogitBias(bias: object, maxEntries: number): ReadonlyMap<number, number> {
  const map = new Map<number, number>();
  const entries = Object.entries(bias);
  if (entries.length > maxEntries)
    throw invalidValue('logit_bias', `must have at most ${maxEntries} entries`);
  for (const [key, value] of entries) {
    const tokenId = /^\d{1,10}$/.test(key) ? Number(key) : Number.NaN;
    if (!(tokenId <= MAX_TOKEN_ID))
      throw invalidValue('logit_bias', `must have token ids as keys, but has "${printable(key)}"`);
    if (typeof value !== 'number' || !(value >= -100 && value <= 100))
      throw invalidValue(`logit_bias.${key}`, 'must be a number from -100 to 100');
    map.set(tokenId, value);
  }
  return map;
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
