import { z } from 'zod';
import type { EncoderInput } from '../../core/encoder.ts';
import { MAX_TOKEN_ID, optional } from './field.ts';
import { invalidValue } from './invalid-request.ts';

/** As OpenAI has it. */
export const MOST_INPUTS = 2_048;

/** Fields that embeddings and classification share. `input` is read by `toInputs`. */
export const encoderShape = {
  model: z.string().min(1),
  input: z.custom<unknown>((value) => value !== undefined && value !== null, 'must be given'),
  /** vLLM's: cut inputs to this many tokens; -1: to the model's limit. Without it a longer input is an error. */
  truncate_prompt_tokens: optional(z.int().min(-1).max(MAX_TOKEN_ID)),
  /** text-embeddings-inference's and Jina's, as a boolean, and NVIDIA's: cut at the model's limit. */
  truncate: optional(z.union([z.boolean(), z.enum(['NONE', 'END'])])),
};

/** Most tokens of an input, the rest of which is cut off. Undefined: a longer one than the model takes is an error. */
export function toTruncateTokens(fields: {
  readonly truncate_prompt_tokens?: number | null | undefined;
  readonly truncate?: boolean | 'NONE' | 'END' | null | undefined;
}): number | undefined {
  const { truncate_prompt_tokens: tokens, truncate } = fields;
  if (tokens === 0) throw invalidValue('truncate_prompt_tokens', 'must be -1 or at least 1, but is 0');
  if (tokens === -1) return MAX_TOKEN_ID;
  return tokens ?? (truncate === true || truncate === 'END' ? MAX_TOKEN_ID : undefined);
}

/** A string, a list of strings, a list of token ids, or a list of those. By hand: ids may be many, schema steps are slow. */
export function toInputs(input: unknown): readonly EncoderInput[] {
  if (typeof input === 'string') return [toText(input, 'input')];
  if (!Array.isArray(input))
    throw invalidValue('input', 'must be a string, an array of strings, or token ids');
  if (input.length === 0) throw invalidValue('input', 'must not be empty');
  if (typeof input[0] === 'number') return [toTokens(input, 'input')];
  if (input.length > MOST_INPUTS)
    throw invalidValue('input', `must have at most ${MOST_INPUTS} entries, but has ${input.length}`);
  const isText = typeof input[0] === 'string';
  return input.map((entry: unknown, index): EncoderInput => {
    const param = `input[${index}]`;
    if (isText && typeof entry === 'string') return toText(entry, param);
    if (!isText && Array.isArray(entry)) return toTokens(entry, param);
    throw invalidValue(
      param,
      index === 0
        ? 'must be a string or an array of token ids'
        : 'must be of the same kind as the other inputs: a string or an array of token ids',
    );
  });
}

function toText(text: string, param: string): string {
  if (text === '') throw invalidValue(param, 'must not be an empty string');
  return text;
}

function toTokens(values: readonly unknown[], param: string): readonly number[] {
  if (values.length === 0) throw invalidValue(param, 'must not be empty');
  for (let i = 0; i < values.length; i++) {
    const id = values[i];
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > MAX_TOKEN_ID)
      throw invalidValue(`${param}[${i}]`, `must be a token id, an integer from 0 to ${MAX_TOKEN_ID}`);
  }
  return values as readonly number[];
}
