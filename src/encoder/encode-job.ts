import type { EncoderRow } from '../../kernels/encoder/feeds.ts';
import type { EncoderInput } from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import type { EncoderTokenizer } from './encoder-tokenizer.ts';
import type { WireEncodeRequest } from './messages.ts';
import { normalise } from './readout.ts';

export interface JobLimits {
  /** Longest input. */
  readonly maxTokens: number;
  /** Vectors are brought to length 1. */
  readonly normalise: boolean;
}

/** One request inside the encoder: its inputs become rows one by one, its rows become vectors in any order. */
export class EncodeJob {
  readonly id: number;
  readonly rows: Float32Array[];
  promptTokens = 0;
  readonly #request: WireEncodeRequest;
  readonly #tokenizer: EncoderTokenizer;
  readonly #limits: JobLimits;
  readonly #count: number;
  #next = 0;
  #accepted = 0;
  #query: readonly number[] | undefined;

  constructor(id: number, request: WireEncodeRequest, tokenizer: EncoderTokenizer, limits: JobLimits) {
    this.id = id;
    this.#request = request;
    this.#tokenizer = tokenizer;
    this.#limits = limits;
    this.#count = request.endpoint === 'rerank' ? request.documents.length : request.inputs.length;
    this.rows = new Array(this.#count);
  }

  /** Some input has not become a row yet. */
  get hasNext(): boolean {
    return this.#next < this.#count;
  }

  get done(): boolean {
    return this.#accepted === this.#count;
  }

  /** The next input's row. Throws an AppError that names the input when the model cannot take it. */
  next(): { readonly index: number; readonly row: EncoderRow } {
    const index = this.#next++;
    const row = this.#row(index);
    this.promptTokens += row.ids.length;
    return { index, row };
  }

  accept(index: number, vector: Float32Array): void {
    this.#accepted++;
    this.rows[index] = this.#finish(vector);
  }

  #finish(vector: Float32Array): Float32Array {
    if (this.#request.endpoint !== 'embeddings') return vector;
    const { dimensions = vector.length } = this.#request;
    const cut = vector.subarray(0, dimensions);
    return this.#limits.normalise ? normalise(cut) : cut;
  }

  #row(index: number): EncoderRow {
    const request = this.#request;
    const { maxTokens } = this.#limits;
    if (request.endpoint === 'rerank') {
      this.#query ??= this.#tokenizer.encodeQuery(request.query, maxTokens);
      return this.#tokenizer.encodePair(this.#query, request.documents[index]!, {
        maxTokens,
        documentTokens: request.truncateTokens,
      });
    }
    const input = request.inputs[index]!;
    const param = request.inputs.length === 1 ? 'input' : `input[${index}]`;
    const cutTo =
      request.truncateTokens === undefined ? undefined : Math.min(request.truncateTokens, maxTokens);
    if (typeof input !== 'string') return this.#tokens(input, param, cutTo);
    const { row, length } = this.#tokenizer.encode(input, cutTo ?? maxTokens);
    if (cutTo === undefined && length > maxTokens) throw tooLong(param, length, maxTokens);
    return row;
  }

  #tokens(input: Exclude<EncoderInput, string>, param: string, cutTo: number | undefined): EncoderRow {
    const { vocabularySize } = this.#tokenizer;
    const wrong = input.findIndex((id) => id >= vocabularySize);
    if (wrong !== -1)
      throw new AppError('invalid_value', {
        message: `Invalid request: \`${param}[${wrong}]\` is ${input[wrong]}, which is no token of this model: its vocabulary has ${vocabularySize}.`,
        param: `${param}[${wrong}]`,
      });
    if (cutTo !== undefined) return { ids: input.slice(0, cutTo) };
    if (input.length > this.#limits.maxTokens) throw tooLong(param, input.length, this.#limits.maxTokens);
    return { ids: input };
  }
}

function tooLong(param: string, tokens: number, maxTokens: number): AppError {
  return new AppError('context_length_exceeded', {
    message: `Invalid request: \`${param}\` has ${tokens} tokens; this model takes at most ${maxTokens}. Shorten it, or set \`truncate_prompt_tokens\` to have it cut.`,
    param,
  });
}
