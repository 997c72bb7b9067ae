/** Upper bounds on what one request may ask for. They guard the machine, not the model. */
export interface RequestLimits {
  /** Choices per prompt. */
  readonly n: number;
  /** Choices of a whole request: prompts × n. */
  readonly choices: number;
  readonly messages: number;
  /** Content parts per message, and tool calls per message. */
  readonly partsPerMessage: number;
  /** Prompts of one completion request. */
  readonly prompts: number;
  readonly tools: number;
  readonly topLogprobs: number;
  readonly stopStrings: number;
  /** UTF-16 units of one stop string. */
  readonly stopStringLength: number;
  readonly stopTokenIds: number;
  readonly logitBiasEntries: number;
  /** Levels of arrays and objects in the whole body. */
  readonly nestingDepth: number;
}

const DEFAULT_LIMITS: RequestLimits = {
  n: 16,
  choices: 128,
  messages: 4_096,
  partsPerMessage: 1_024,
  prompts: 128,
  tools: 128,
  topLogprobs: 20,
  stopStrings: 4,
  stopStringLength: 1_000,
  stopTokenIds: 64,
  logitBiasEntries: 1_024,
  nestingDepth: 64,
};

const completed = new WeakMap<Partial<RequestLimits>, RequestLimits>();

/** Fills the gaps with defaults. The same object comes back for the same argument: schemas are built once per result. */
export function completeLimits(given: Partial<RequestLimits> = DEFAULT_LIMITS): RequestLimits {
  let limits = completed.get(given);
  if (limits === undefined) {
    limits = { ...DEFAULT_LIMITS, ...given };
    completed.set(given, limits);
  }
  return limits;
}
