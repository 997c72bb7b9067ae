/** How tokens are drawn; the semantics are vLLM's. */
export interface SamplerParameters {
  /** 0: greedy. */
  readonly temperature: number;
  /** (0, 1]; 1 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** [0, 1]; 0 is off. */
  readonly minP: number;
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
  constructor(_options: SamplerOptions) {
    throw new Error('not built yet');
  }

  /** Tells that `token` was appended to the output. To be called once for every token, drawn or forced. */
  record(_token: number): void {}
}

/**
 * Draws one token. `logits` [vocabSize] is left as it is. `bannedTokenIds` cannot be drawn this time.
 * Uses exactly one random number per call unless greedy.
 */
export function sample(
  _logits: Float32Array,
  _state: SamplerState,
  _bannedTokenIds: readonly number[] = [],
): number {
  throw new Error('not built yet');
}
