/** What a client may leave to the model: every model has settings that suit it best. */
export interface SamplingDefaults {
  /** 0 means greedy. */
  readonly temperature: number;
  /** (0, 1]; 1 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** [0, 1]; 0 is off. */
  readonly minP: number;
  /** (0, 1]; 1 is off. */
  readonly typicalP: number;
  /** > 0; 1 is off. */
  readonly repetitionPenalty: number;
}

interface SamplingChoices {
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  /** Token id → bias added to its logit. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** With a seed, the same request gives the same text whatever else is in the batch. */
  readonly seed: number | undefined;
}

/** How tokens are drawn, as the client asked; undefined: as the model has it. */
export type Sampling = SamplingChoices & { readonly [Field in keyof SamplingDefaults]: number | undefined };

export type ResolvedSampling = SamplingChoices & SamplingDefaults;

/** Draws from the model's own distribution: what OpenAI documents as the default. */
const UNCHANGED: SamplingDefaults = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  typicalP: 1,
  repetitionPenalty: 1,
};

/** The client's word first, then the model's, then none. */
export function resolveSampling(sampling: Sampling, model: Partial<SamplingDefaults>): ResolvedSampling {
  const { temperature, topP, topK, minP, typicalP, repetitionPenalty } = { ...UNCHANGED, ...model };
  return {
    ...sampling,
    temperature: sampling.temperature ?? temperature,
    topP: sampling.topP ?? topP,
    topK: sampling.topK ?? topK,
    minP: sampling.minP ?? minP,
    typicalP: sampling.typicalP ?? typicalP,
    repetitionPenalty: sampling.repetitionPenalty ?? repetitionPenalty,
  };
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
