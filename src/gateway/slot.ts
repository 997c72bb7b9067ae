import type { Dispatch } from '../../routers/lifecycle.ts';
import type { RequestFeatures } from '../../routers/request.ts';
import type { Deployment } from '../core/deployment.ts';
import type { AppError } from '../core/error.ts';
import type { RequestSettled } from '../core/event.ts';
import type { Usage } from '../core/usage.ts';
import type { Entry } from './concurrency-limit.ts';
import type { DecisionTrace } from './decision-trace.ts';
import type { Lane } from './lane.ts';
import type { ModelState } from './model-state.ts';

/** What is known of a request before and after it ran, for those that learn from it. */
export interface SlotRequest {
  readonly stream: boolean;
  /** Of its body: how much there is to read. */
  readonly promptBytes: number;
  /** What policies may know. */
  readonly features: RequestFeatures;
  readonly trace: DecisionTrace;
}

/** A place in one backend, held from the moment of choosing until the request is settled there. */
export class Slot<D extends Deployment = Deployment> {
  readonly deployment: D;
  readonly lane: Lane;
  readonly #model: ModelState;
  readonly #dispatch: Dispatch;
  /** In the queue. */
  waitedMs = 0;
  readonly #entry: Entry;
  readonly #request: SlotRequest;
  readonly #now: () => number;
  readonly #onFree: () => void;
  #held = true;

  constructor(options: {
    deployment: D;
    lane: Lane;
    model: ModelState;
    /** Told to the policies. */
    dispatch: Dispatch;
    request: SlotRequest;
    now: () => number;
    /** The place is free again. */
    onFree: () => void;
  }) {
    this.deployment = options.deployment;
    this.lane = options.lane;
    this.#model = options.model;
    this.#dispatch = options.dispatch;
    this.#request = options.request;
    this.#now = options.now;
    this.#onFree = options.onFree;
    this.#entry = this.lane.enter();
  }

  get ageMs(): number {
    return this.#now() - this.#entry.startedAtMs;
  }

  /** The reply has begun: of a stream, its first token is there. */
  answered(): void {
    const { lane, ageMs } = this;
    lane.coolDown.answered();
    if (!this.#request.stream) return;
    const { promptBytes } = this.#request;
    const { firstToken, ratios } = lane.latency(this.deployment.model);
    const nowMs = this.#now();
    this.#dispatch.firstToken(nowMs);
    lane.ttft.observe(ageMs);
    const predictedMs = firstToken.predictMs(promptBytes);
    if (predictedMs !== undefined) {
      ratios.observe(ageMs / predictedMs);
      lane.slowness.observe(ageMs, predictedMs);
      lane.limit?.answered('first-token', ageMs, predictedMs, this.#entry);
    }
    firstToken.observe(promptBytes, ageMs, nowMs);
  }

  failed(error: AppError): void {
    this.lane.failed(error, this.#entry.startedAtMs);
    if (error.retryable) this.#dispatch.failed(this.#now());
    else this.#dispatch.cancelled(this.#now());
    this.#free();
  }

  /** Another attempt was answered first: that this one was not tells something too. */
  lost(): void {
    const predictedMs = this.lane
      .latency(this.deployment.model)
      .firstToken.predictMs(this.#request.promptBytes);
    if (predictedMs !== undefined && this.ageMs > predictedMs)
      this.lane.slowness.observe(this.ageMs, predictedMs);
    this.#dispatch.cancelled(this.#now());
    this.#free();
  }

  /** The request that was answered here is settled. */
  release({ outcome, tpotMs, usage, usageMeasured }: RequestSettled): void {
    const { lane, ageMs } = this;
    const { completionTokens } = usage;
    this.#tellPolicies(outcome, usageMeasured ? usage : undefined);
    if (tpotMs !== undefined) lane.tpot.observe(tpotMs);
    if (outcome === 'ok' && !this.#request.stream && completionTokens > 0) {
      const { whole } = lane.latency(this.deployment.model);
      const predictedMs = whole.predictMs(completionTokens);
      if (predictedMs !== undefined) lane.limit?.answered('whole', ageMs, predictedMs, this.#entry);
      whole.observe(completionTokens, ageMs, this.#now());
    }
    this.#free();
  }

  #tellPolicies(outcome: RequestSettled['outcome'], usage: Usage | undefined): void {
    const nowMs = this.#now();
    if (outcome === 'cancelled') this.#dispatch.cancelled(nowMs);
    if (outcome === 'error') this.#dispatch.failed(nowMs);
    if (outcome !== 'ok') return;
    if (usage !== undefined) this.#model.observePrompt(this.#request.promptBytes, usage.promptTokens);
    this.#dispatch.finished(nowMs, {
      promptTokens: usage?.promptTokens,
      cachedTokens: usage?.cachedPromptTokens,
      outputTokens: usage?.completionTokens,
    });
  }

  #free(): void {
    if (!this.#held) return;
    this.#held = false;
    this.lane.leave();
    this.#onFree();
  }
}
