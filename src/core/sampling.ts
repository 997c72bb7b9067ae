/** How tokens are drawn. Every field is set: the wire mapping fills in defaults. */
export interface Sampling {
  /** 0 means greedy. */
  readonly temperature: number;
  /** (0, 1]; 1 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** [0, 1]; 0 is off. */
  readonly minP: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  /** > 0; 1 is off. */
  readonly repetitionPenalty: number;
  /** Token id → bias added to its logit. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** With a seed, the same request gives the same text whatever else is in the batch. */
  readonly seed: number | undefined;
}

/** When generation ends. */
export interface StopRules {
  /** Undefined: until the context is full. */
  readonly maxTokens: number | undefined;
  readonly minTokens: number;
  readonly strings: readonly string[];
  readonly tokenIds: readonly number[];
  readonly ignoreEos: boolean;
  /** Keep the stop string in the reply (vLLM's `include_stop_str_in_output`). */
  readonly includeStopString: boolean;
}
