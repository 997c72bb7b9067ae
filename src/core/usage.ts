/** Tokens of one request. `promptTokens` includes `cachedPromptTokens`; `completionTokens` includes `reasoningTokens`. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedPromptTokens: number;
  readonly reasoningTokens: number;
}
