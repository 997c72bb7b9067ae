import { expectedCostUsd } from '../../routers/cost.ts';
import { hashText } from '../../routers/prompt-hash.ts';
import type { Choice, Decision } from '../core/decision.ts';
import type { RequestSettled } from '../core/event.ts';

/** A request that was decided about, and what came of it. */
export type Decided = RequestSettled & { readonly decision: Decision };

/** What of it is looked at here. */
export type Explained = Pick<
  Decided,
  | 'requestId'
  | 'model'
  | 'endpoint'
  | 'outcome'
  | 'status'
  | 'code'
  | 'deployment'
  | 'queuedMs'
  | 'ttftMs'
  | 'tpotMs'
  | 'durationMs'
  | 'decision'
> & {
  readonly usage: Pick<Decided['usage'], 'promptTokens' | 'cachedPromptTokens' | 'completionTokens'>;
  readonly attempts: readonly Pick<Decided['attempts'][number], 'deployment' | 'kind' | 'code' | 'lost'>[];
};

/**
 * A decision as operators see it and as it is kept in files: JSON, without content. `blocks` (the hashes of the prompt's
 * beginning, base64 of little-endian 32-bit numbers) is what a replay needs beside the rest.
 */
export interface DecisionView {
  readonly id: string;
  readonly requestId: string;
  /** ISO 8601: when the request was settled. */
  readonly at: string;
  readonly model: string | undefined;
  readonly endpoint: string;
  readonly request: {
    readonly promptTokens: number;
    readonly maxOutputTokens: number | undefined;
    readonly stream: boolean;
    readonly tenant: string | undefined;
    /** Not the client's own word. */
    readonly session: string | undefined;
    readonly blocks: string;
    readonly blockTokens: number;
    readonly constraints: Decision['features']['constraints'];
    readonly sloTtftMs: number | undefined;
    /** As the model's classifier judged it, if it has one. */
    readonly difficulty: number | undefined;
    /** Deployments of less than this quality were preferred, because it was easy. */
    readonly enoughBelow: number | undefined;
    /** The classifier, with its version. */
    readonly judgedBy: string | undefined;
  };
  readonly refused: Decision['refused'];
  readonly trials: Decision['trials'];
  /** One per attempt that found a place, in order. */
  readonly choices: readonly {
    readonly policy: string;
    /** After the first choice. */
    readonly afterMs: number;
    readonly chosen: string | undefined;
    /** In the order in which the policy would have them: the second is the runner-up. */
    readonly candidates: readonly CandidateView[];
    readonly passedOver: Choice['passedOver'];
  }[];
  readonly observed: {
    readonly outcome: string;
    readonly status: number;
    readonly code: string | undefined;
    readonly deployment: string | undefined;
    readonly attempts: readonly {
      readonly deployment: string;
      readonly kind: string;
      readonly code: string | undefined;
      readonly lost: boolean;
    }[];
    readonly queuedMs: number;
    readonly ttftMs: number | undefined;
    readonly tpotMs: number | undefined;
    readonly durationMs: number;
    readonly promptTokens: number;
    readonly cachedTokens: number;
    readonly completionTokens: number;
  };
}

/** A deployment that was considered, as it stood then. */
export type CandidateView = Choice['ranked'][number]['candidate'] & {
  readonly score: number;
  readonly parts: Readonly<Record<string, number>>;
  /** Null where there was no choice. */
  readonly predicted: Choice['ranked'][number]['prediction'] | null;
  /** What the reply would have cost there in US dollars, token for token; null where it has no price per token. */
  readonly sameReplyUsd: number | null;
};

export function decisionView(settled: Explained, atEpochMs: number): DecisionView {
  const { decision, usage } = settled;
  const { features, choices } = decision;
  const firstAtMs = choices[0]?.atMs ?? 0;
  return {
    id: decision.id,
    requestId: settled.requestId,
    at: new Date(atEpochMs).toISOString(),
    model: settled.model,
    endpoint: settled.endpoint,
    request: {
      promptTokens: features.promptTokens,
      maxOutputTokens: features.maxOutputTokens,
      stream: features.stream,
      tenant: features.tenant,
      session: features.sessionKey === undefined ? undefined : hashText(features.sessionKey).toString(36),
      blocks: Buffer.from(
        features.blocks.buffer,
        features.blocks.byteOffset,
        features.blocks.byteLength,
      ).toString('base64'),
      blockTokens: features.blockTokens,
      constraints: features.constraints,
      sloTtftMs: features.sloTtftMs,
      difficulty: features.difficulty,
      enoughBelow: features.enoughBelow,
      judgedBy: features.judgedBy,
    },
    refused: decision.refused,
    trials: decision.trials,
    choices: choices.map(({ policy, atMs, ranked, passedOver }) => ({
      policy,
      afterMs: round(atMs - firstAtMs),
      chosen: ranked[0]?.candidate.id,
      candidates: ranked.map((one) => candidateView(one, settled)),
      passedOver,
    })),
    observed: {
      outcome: settled.outcome,
      status: settled.status,
      code: settled.code,
      deployment: settled.deployment,
      attempts: settled.attempts.map(({ deployment, kind, code, lost }) => ({
        deployment,
        kind,
        code,
        lost,
      })),
      queuedMs: round(settled.queuedMs),
      ttftMs: settled.ttftMs && round(settled.ttftMs),
      tpotMs: settled.tpotMs && round(settled.tpotMs),
      durationMs: round(settled.durationMs),
      promptTokens: usage.promptTokens,
      cachedTokens: usage.cachedPromptTokens,
      completionTokens: usage.completionTokens,
    },
  };
}

function candidateView(
  { candidate, score, parts, prediction }: Choice['ranked'][number],
  settled: Explained,
): CandidateView {
  const { id, ready, inFlight, capacity, contextTokens, price } = candidate;
  const { machineUsdPerHour, privacy, region, quality, weight } = candidate;
  return {
    id,
    ready,
    inFlight,
    capacity,
    contextTokens,
    price,
    machineUsdPerHour,
    privacy,
    region,
    quality,
    weight,
    score,
    parts,
    predicted: prediction ?? null,
    sameReplyUsd: sameReplyUsd(candidate, prediction?.cachedTokens ?? 0, settled),
  };
}

/** @param expectedCached Prompt tokens that it was thought to remember; of the one that served, it is known how many it did. */
function sameReplyUsd(
  { id, price }: Choice['ranked'][number]['candidate'],
  expectedCached: number,
  { deployment, usage: { promptTokens, cachedPromptTokens, completionTokens } }: Explained,
): number | null {
  if (price === undefined) return null;
  const cached = id === deployment ? cachedPromptTokens : Math.min(expectedCached, promptTokens);
  const tokens = { uncached: promptTokens - cached, cached, output: completionTokens };
  return expectedCostUsd({ price }, tokens, 0);
}

function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
