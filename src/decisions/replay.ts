import type { Candidate } from '../../routers/candidate.ts';
import { expectedCostUsd } from '../../routers/cost.ts';
import { ttftAimMs } from '../../routers/estimate.ts';
import { goodEnoughFirst } from '../../routers/good-enough.ts';
import type { Dispatch } from '../../routers/lifecycle.ts';
import { POLICIES, type PolicyName } from '../../routers/policies.ts';
import { DEFAULT_SETTINGS } from '../../routers/policy.ts';
import { type RequestFeatures, UNKNOWN_REQUEST } from '../../routers/request.ts';
import { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import type { CandidateView, DecisionView } from './decision-view.ts';

/** What came of the decisions, or is expected to have come. */
export interface Outcome {
  /** Share of the requests whose first token is expected in time. */
  readonly goodput: number;
  readonly ttftP50Ms: number;
  readonly ttftP99Ms: number;
  readonly costUsd: number;
  /** Jain's index over the tenants' mean times to first token: 1 is equal treatment. */
  readonly fairness: number;
  /** Requests per deployment. */
  readonly shares: ReadonlyMap<string, number>;
}

export interface ReplayReport {
  /** Those with a choice. Where only one deployment had room, every policy takes it. */
  readonly decisions: number;
  /** Share in which the policy takes what was taken. */
  readonly agreement: number;
  /** What was taken, judged by the same measure as the other. */
  readonly recorded: Outcome;
  readonly replayed: Outcome;
}

interface Moment {
  readonly atMs: number;
  readonly happens: () => void;
}

/**
 * Has another policy decide what was decided, in the same order and from what was known then. The load at each
 * deployment is held as it was recorded, so this tells what single decisions would have been, not how the fleet
 * would have fared under all of them. Times and costs of both are predicted by the same model, which learns from
 * what was
 * observed.
 *
 * @param random Uniform in [0, 1).
 */
export function replay(
  records: readonly DecisionView[],
  policyName: PolicyName,
  random: () => number,
): ReplayReport {
  const knowledge = new RoutingKnowledge();
  const policy = POLICIES[policyName]({ knowledge, settings: DEFAULT_SETTINGS });
  const recorded = new Tally();
  const replayed = new Tally();
  let agreed = 0;
  const moments: Moment[] = records.flatMap((record) => {
    const choice = record.choices[0];
    const { observed } = record;
    const request = featuresOf(record);
    const taken = choice?.candidates.find(({ id }) => id === choice.chosen);
    if (choice === undefined || taken === undefined) return [];
    const startMs = Date.parse(record.at) - observed.durationMs + observed.queuedMs;
    let dispatch: Dispatch | undefined;
    const decideAgain = () => {
      if (choice.candidates.length > 1) {
        const candidates = choice.candidates.map(candidateOf);
        const [best] = goodEnoughFirst(policy, {
          request,
          candidates,
          nowMs: startMs,
          random,
        });
        if (best !== undefined) {
          if (best.candidate.id === taken.id) agreed += 1;
          recorded.add(knowledge, candidateOf(taken), record, request, startMs);
          replayed.add(knowledge, best.candidate, record, request, startMs);
        }
      }
      dispatch = knowledge.dispatch(taken.id, request, startMs, policy);
    };
    const end = () => {
      const endMs = Date.parse(record.at);
      if (observed.outcome === 'cancelled') dispatch?.cancelled(endMs);
      else if (observed.outcome === 'error' || observed.deployment !== taken.id) dispatch?.failed(endMs);
      else
        dispatch?.finished(endMs, {
          promptTokens: observed.promptTokens,
          cachedTokens: observed.cachedTokens,
          outputTokens: observed.completionTokens,
        });
    };
    // As while serving: a reply that comes as a whole shows no first token.
    const ttftMs = request.stream ? observed.ttftMs : undefined;
    const firstMs = Date.parse(record.at) - observed.durationMs + (ttftMs ?? 0);
    return [
      { atMs: startMs, happens: decideAgain },
      ...(ttftMs === undefined ? [] : [{ atMs: firstMs, happens: () => dispatch?.firstToken(firstMs) }]),
      { atMs: Date.parse(record.at), happens: end },
    ];
  });
  moments.sort((a, b) => a.atMs - b.atMs);
  for (const { happens } of moments) happens();
  return {
    decisions: recorded.count,
    agreement: agreed / Math.max(1, recorded.count),
    recorded: recorded.outcome(),
    replayed: replayed.outcome(),
  };
}

class Tally {
  readonly #ttftsMs: number[] = [];
  readonly #shares = new Map<string, number>();
  readonly #tenants = new Map<string, { sumMs: number; count: number }>();
  #good = 0;
  #costUsd = 0;

  get count(): number {
    return this.#ttftsMs.length;
  }

  add(
    knowledge: RoutingKnowledge,
    candidate: Candidate,
    record: DecisionView,
    request: RequestFeatures,
    nowMs: number,
  ): void {
    const { ttftMs, ownMs, tpotMs, cachedTokens } = knowledge.forecast(candidate.id, request, nowMs);
    const { promptTokens, completionTokens } = record.observed;
    const cached = Math.min(cachedTokens, promptTokens);
    this.#ttftsMs.push(ttftMs);
    if (ttftMs <= ttftAimMs(request, DEFAULT_SETTINGS.slo)) this.#good += 1;
    this.#costUsd += expectedCostUsd(
      candidate,
      { uncached: promptTokens - cached, cached, output: completionTokens },
      ownMs + completionTokens * tpotMs,
    );
    this.#shares.set(candidate.id, (this.#shares.get(candidate.id) ?? 0) + 1);
    const tenant = this.#tenants.get(request.tenant ?? '') ?? { sumMs: 0, count: 0 };
    this.#tenants.set(request.tenant ?? '', { sumMs: tenant.sumMs + ttftMs, count: tenant.count + 1 });
  }

  outcome(): Outcome {
    const sorted = this.#ttftsMs.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    const means = [...this.#tenants.values()].map(({ sumMs, count }) => sumMs / count);
    const sum = means.reduce((total, mean) => total + mean, 0);
    const squares = means.reduce((total, mean) => total + mean * mean, 0);
    return {
      goodput: this.#good / Math.max(1, this.count),
      ttftP50Ms: at(0.5),
      ttftP99Ms: at(0.99),
      costUsd: this.#costUsd,
      fairness: squares === 0 ? 1 : (sum * sum) / (means.length * squares),
      shares: this.#shares,
    };
  }
}

function candidateOf({ score, parts, predicted, sameReplyUsd, ...candidate }: CandidateView): Candidate {
  return candidate;
}

function featuresOf({ request }: DecisionView): RequestFeatures {
  const bytes = Buffer.from(request.blocks, 'base64');
  const blocks = new Int32Array(bytes.length / 4);
  for (let i = 0; i < blocks.length; i += 1) blocks[i] = bytes.readInt32LE(4 * i);
  return {
    ...UNKNOWN_REQUEST,
    promptTokens: request.promptTokens,
    maxOutputTokens: request.maxOutputTokens,
    stream: request.stream,
    tenant: request.tenant,
    sessionKey: request.session,
    sloTtftMs: request.sloTtftMs,
    enoughBelow: request.enoughBelow,
    blockTokens: request.blockTokens,
    blocks,
  };
}
