import type { ConsideredDeployment, Decision, DecisionFeatures } from '../core/decision.ts';
import type { AttemptRecord } from '../core/event.ts';
import type { Decided, Explained } from './decision-view.ts';

type Candidate = ConsideredDeployment['candidate'];
type Facts = Omit<Candidate, 'id' | 'ready' | 'inFlight' | 'capacity'>;

const NO_FACTS: Facts = {};
const NO_BLOCKS = new Int32Array(0);
const NO_PARTS: Readonly<Record<string, number>> = {};

/**
 * A decision without a choice: one deployment, one attempt. What it says is written into an object that stays, over what the
 * object held before. Keeping the decisions themselves would keep everything that they are made of from dying young,
 * which costs more than all the rest of serving a request. NaN stands for undefined, so that a field always holds
 * one kind of value, and is written in place.
 */
export class PlainDecision {
  #id = '';
  #requestId = '';
  #atEpochMs = 0.5;
  #model: string | undefined;
  #endpoint = '';
  #stream = false;
  #promptTokens = 0;
  #maxOutputTokens = Number.NaN;
  #blockTokens = 0;
  #tenant: string | undefined;
  #sessionKey: string | undefined;
  #constraints: DecisionFeatures['constraints'] = NO_FACTS;
  #sloTtftMs = Number.NaN;
  #difficulty = Number.NaN;
  #judgedBy: string | undefined;
  #policy = '';
  #candidateId = '';
  #ready = false;
  #inFlight = 0;
  #capacity = Number.NaN;
  #facts = NO_FACTS;
  #score = 0.5;
  #outcome: Decided['outcome'] = 'ok';
  #status = 200;
  #code: Decided['code'];
  #deployment: string | undefined;
  #attemptKind: AttemptRecord['kind'] = 'first';
  #attemptCode: AttemptRecord['code'];
  #queuedMs = 0.5;
  #ttftMs = Number.NaN;
  #tpotMs = Number.NaN;
  #durationMs = 0.5;
  #usedPromptTokens = 0;
  #usedCachedTokens = 0;
  #usedCompletionTokens = 0;

  get id(): string {
    return this.#id;
  }

  take(settled: Decided, atEpochMs: number): void {
    const { decision, usage } = settled;
    const { features } = decision;
    const { policy, ranked } = decision.choices[0]!;
    const { candidate, score } = ranked[0]!;
    const attempt = settled.attempts[0]!;
    this.#id = decision.id;
    this.#requestId = settled.requestId;
    this.#atEpochMs = atEpochMs;
    this.#model = settled.model;
    this.#endpoint = settled.endpoint;
    this.#stream = features.stream;
    this.#promptTokens = features.promptTokens;
    this.#maxOutputTokens = features.maxOutputTokens ?? Number.NaN;
    this.#blockTokens = features.blockTokens;
    this.#tenant = features.tenant;
    this.#sessionKey = features.sessionKey;
    this.#constraints = features.constraints;
    this.#sloTtftMs = features.sloTtftMs ?? Number.NaN;
    this.#difficulty = features.difficulty ?? Number.NaN;
    this.#judgedBy = features.judgedBy;
    this.#policy = policy;
    this.#candidateId = candidate.id;
    this.#ready = candidate.ready;
    this.#inFlight = candidate.inFlight;
    this.#capacity = candidate.capacity ?? Number.NaN;
    if (!hasFacts(candidate, this.#facts)) this.#facts = factsOf(candidate);
    this.#score = score;
    this.#outcome = settled.outcome;
    this.#status = settled.status;
    this.#code = settled.code;
    this.#deployment = settled.deployment;
    this.#attemptKind = attempt.kind;
    this.#attemptCode = attempt.code;
    this.#queuedMs = settled.queuedMs;
    this.#ttftMs = settled.ttftMs ?? Number.NaN;
    this.#tpotMs = settled.tpotMs ?? Number.NaN;
    this.#durationMs = settled.durationMs;
    this.#usedPromptTokens = usage.promptTokens;
    this.#usedCachedTokens = usage.cachedPromptTokens;
    this.#usedCompletionTokens = usage.completionTokens;
  }

  /** What was taken, as it was. */
  restore(): { readonly settled: Explained; readonly atEpochMs: number } {
    const candidate: Candidate = {
      id: this.#candidateId,
      ready: this.#ready,
      inFlight: this.#inFlight,
      capacity: known(this.#capacity),
      ...this.#facts,
    };
    const decision: Decision = {
      id: this.#id,
      features: {
        promptTokens: this.#promptTokens,
        stream: this.#stream,
        maxOutputTokens: known(this.#maxOutputTokens),
        blocks: NO_BLOCKS,
        blockTokens: this.#blockTokens,
        sessionKey: this.#sessionKey,
        tenant: this.#tenant,
        constraints: this.#constraints,
        sloTtftMs: known(this.#sloTtftMs),
        difficulty: known(this.#difficulty),
        judgedBy: this.#judgedBy,
      },
      refused: [],
      trials: [],
      choices: [
        {
          atMs: 0,
          policy: this.#policy,
          ranked: [{ candidate, score: this.#score, parts: NO_PARTS }],
          passedOver: [],
        },
      ],
    };
    const settled: Explained = {
      requestId: this.#requestId,
      model: this.#model,
      endpoint: this.#endpoint,
      outcome: this.#outcome,
      status: this.#status,
      code: this.#code,
      deployment: this.#deployment,
      attempts: [
        { deployment: this.#candidateId, kind: this.#attemptKind, code: this.#attemptCode, lost: false },
      ],
      queuedMs: this.#queuedMs,
      ttftMs: known(this.#ttftMs),
      tpotMs: known(this.#tpotMs),
      durationMs: this.#durationMs,
      usage: {
        promptTokens: this.#usedPromptTokens,
        cachedPromptTokens: this.#usedCachedTokens,
        completionTokens: this.#usedCompletionTokens,
      },
      decision,
    };
    return { settled, atEpochMs: this.#atEpochMs };
  }
}

export function isPlain({ decision: { choices, refused, trials, features }, attempts }: Decided): boolean {
  const ranked = choices.length === 1 ? choices[0]!.ranked : [];
  const only = ranked.length === 1 ? ranked[0] : undefined;
  return (
    only?.parts !== undefined &&
    Object.keys(only.parts).length === 0 &&
    only.prediction === undefined &&
    choices[0]!.passedOver.length === 0 &&
    refused.length === 0 &&
    trials.length === 0 &&
    features.blocks.length === 0 &&
    features.enoughBelow === undefined &&
    attempts.length === 1 &&
    !attempts[0]!.lost &&
    attempts[0]!.deployment === only.candidate.id
  );
}

/** What the configuration says of a deployment: the same from request to request. */
function factsOf(candidate: Candidate): Facts {
  const { contextTokens, price, machineUsdPerHour, privacy, region, quality, weight } = candidate;
  return { contextTokens, price, machineUsdPerHour, privacy, region, quality, weight };
}

function hasFacts(candidate: Candidate, facts: Facts): boolean {
  return (
    candidate.contextTokens === facts.contextTokens &&
    candidate.price === facts.price &&
    candidate.machineUsdPerHour === facts.machineUsdPerHour &&
    candidate.privacy === facts.privacy &&
    candidate.region === facts.region &&
    candidate.quality === facts.quality &&
    candidate.weight === facts.weight
  );
}

function known(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value;
}
