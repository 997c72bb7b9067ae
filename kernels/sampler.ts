import { type Cuts, draw } from './draw.ts';
import { type Random, seededRandom } from './random.ts';
import { type RowKernels, rowKernels } from './simd/row-kernels.ts';
import { largest } from './top-tokens.ts';

/** How tokens are drawn; the semantics are vLLM's. */
export interface SamplerParameters extends Cuts {
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  /** > 0; 1 is off. Covers prompt and output. */
  readonly repetitionPenalty: number;
  /** Token id → bias added to its logit. */
  readonly logitBias: ReadonlyMap<number, number>;
}

export interface SamplerOptions {
  readonly parameters: SamplerParameters;
  /** Needed for the repetition penalty. */
  readonly promptTokens: ArrayLike<number>;
  /** Any integer. The same seed and logits give the same tokens, whatever else is in the batch. */
  readonly seed: number;
}

/** What one sequence's sampling remembers: its random stream and the tokens so far. */
export class SamplerState {
  readonly parameters: SamplerParameters;
  readonly random: Random;
  /** Whether logits differ from the raw ones before temperature. */
  readonly adjusts: boolean;
  readonly #penalises: boolean;
  readonly #promptTokens: ReadonlySet<number>;
  readonly #outputCounts = new Map<number, number>();

  constructor({ parameters, promptTokens, seed }: SamplerOptions) {
    this.parameters = parameters;
    this.random = seededRandom(seed);
    const repeats = parameters.repetitionPenalty !== 1;
    this.#penalises = repeats || parameters.frequencyPenalty !== 0 || parameters.presencePenalty !== 0;
    this.adjusts = this.#penalises || parameters.logitBias.size > 0;
    this.#promptTokens = new Set(repeats ? Array.from(promptTokens) : []);
  }

  /** Tells that `token` was appended to the output. To be called once for every token, drawn or forced. */
  record(token: number): void {
    if (this.#penalises) this.#outputCounts.set(token, (this.#outputCounts.get(token) ?? 0) + 1);
  }

  /** Applies bias, then the repetition, frequency and presence penalties, to `logits` in place: vLLM's order. */
  adjust(logits: Float32Array): void {
    const { logitBias, repetitionPenalty, frequencyPenalty, presencePenalty } = this.parameters;
    // Ids outside the vocabulary fall off the array: assignments there have no effect.
    for (const [token, bias] of logitBias) logits[token]! += bias;
    if (!this.#penalises) return;
    for (const token of this.#promptTokens)
      if (!this.#outputCounts.has(token)) logits[token] = repeated(logits[token]!, repetitionPenalty);
    for (const [token, count] of this.#outputCounts)
      logits[token] =
        repeated(logits[token]!, repetitionPenalty) - count * frequencyPenalty - presencePenalty;
  }
}

/** Makes a logit less likely for penalties above 1, on either side of zero (Keskar et al., CTRL, 2019). */
function repeated(logit: number, penalty: number): number {
  return logit > 0 ? logit / penalty : logit * penalty;
}

/** Below this a temperature counts as 0, as in vLLM. */
const MIN_TEMPERATURE = 1e-5;

/**
 * Draws one token. `logits` [vocabSize] is left as it is. `bannedTokenIds` cannot be drawn this time, nor what the
 * `mask` excludes: bit i of word j says whether token 32 j + i may be drawn.
 * Uses exactly one random number per call unless greedy. Throws when no token is left to draw.
 *
 * Order: bias, penalties, bans and mask, temperature, min-p, top-k, top-p, each on what the one before has left, as in vLLM; then,
 * as in transformers, typical-p. No step sorts the vocabulary.
 */
export function sample(
  logits: Float32Array,
  state: SamplerState,
  bannedTokenIds: readonly number[] = [],
  mask?: Int32Array | undefined,
): number {
  const kernels = loadRow(logits, state, bannedTokenIds, mask);
  if (state.parameters.temperature < MIN_TEMPERATURE) return drawable(largest(kernels));
  return drawable(draw(kernels, state.parameters, state.random()));
}

function drawable(token: number): number {
  if (token < 0) throw new Error('no token can be drawn: no logit is a number above -Infinity');
  return token;
}

function loadRow(
  logits: Float32Array,
  state: SamplerState,
  bannedTokenIds: readonly number[],
  mask: Int32Array | undefined,
): RowKernels {
  const kernels = rowKernels(logits.length);
  const row = kernels.load(logits);
  if (state.adjusts) state.adjust(row);
  for (const token of bannedTokenIds) row[token] = Number.NEGATIVE_INFINITY;
  if (mask !== undefined) kernels.keepMasked(mask);
  return kernels;
}
