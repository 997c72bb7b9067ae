import type { Candidate } from './candidate.ts';
import { expectedCostUsd } from './cost.ts';
import type { Forecast } from './forecast.ts';
import type { PolicySettings, Prediction } from './policy.ts';
import type { RequestFeatures } from './request.ts';
import type { RoutingKnowledge } from './routing-knowledge.ts';

export interface Estimate {
  readonly forecast: Forecast;
  readonly prediction: Prediction;
}

/** The time to first token that a request aims at: the model's, or a shorter one that it asks for itself. */
export function ttftAimMs({ sloTtftMs, promptTokens }: RequestFeatures, slo: PolicySettings['slo']): number {
  const usualMs = slo.ttftMs + slo.ttftMsPerPromptToken * promptTokens;
  return Math.min(sloTtftMs ?? usualMs, usualMs);
}

/** Expected length of the reply. */
export function expectedOutputTokens(knowledge: RoutingKnowledge, request: RequestFeatures): number {
  const { expectedOutputTokens, tenant, maxOutputTokens } = request;
  return expectedOutputTokens ?? knowledge.outputs.expect(tenant, maxOutputTokens);
}

/** What to expect of a request at a candidate, in time and money. */
export function estimate(
  knowledge: RoutingKnowledge,
  candidate: Candidate,
  request: RequestFeatures,
  outputTokens: number,
  nowMs: number,
): Estimate {
  const forecast = knowledge.forecast(candidate.id, request, nowMs);
  const { cachedTokens, ownMs, ttftMs, tpotMs } = forecast;
  const tokens = {
    uncached: request.promptTokens - cachedTokens,
    cached: cachedTokens,
    output: outputTokens,
  };
  // Sequences that decode together share the machine.
  const serviceMs = ownMs + (outputTokens * tpotMs) / (knowledge.state(candidate.id).decoding + 1);
  const costUsd = expectedCostUsd(candidate, tokens, serviceMs, request.media);
  return { forecast, prediction: { ttftMs, tpotMs, costUsd, cachedTokens, outputTokens } };
}
