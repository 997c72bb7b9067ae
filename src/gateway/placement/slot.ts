import type { Dispatch } from '../../../routers/lifecycle.ts';
import type { RequestFeatures } from '../../../routers/request.ts';
import { isAbandonment } from '../../core/abandonment.ts';
import type { PauseListener } from '../../core/backend.ts';
import type { Caller } from '../../core/caller.ts';
import type { Deployment } from '../../core/deployment.ts';
import { type AppError, ERROR_CATALOGUE } from '../../core/error.ts';
import type { RequestSettled } from '../../core/event.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerKind } from '../backend/concurrency-limit.ts';
import type { Tokens } from '../line/token-counters.ts';
import { tenantOf } from '../request/tenant.ts';
import type { DecisionTrace } from './decision-trace.ts';
import type { Lane, Passage } from './lane.ts';
import { isHeldUp, type SlowClient } from './lent-places.ts';
import type { ModelState } from './model-state.ts';

/** What is known of a request before and after it ran, for those that learn from it. */
export interface SlotRequest {
  readonly stream: boolean;
  /** The size of its body: how much there is to read. */
  readonly promptBytes: number;
  /** What policies may know. */
  readonly features: RequestFeatures;
  readonly trace: DecisionTrace;
  /** Which deployments on trial it may use; see `Canaries`. */
  readonly drawn: number;
  /** Undefined: nobody needs a key. */
  readonly caller: Caller | undefined;
  /** When its client gives up, on the gateway's monotonic clock. */
  readonly deadlineAtMs: number | undefined;
}

/** A place in one backend, held from the moment of choosing until the request is settled there. */
export class Slot<D extends Deployment = Deployment> implements PauseListener {
  readonly deployment: D;
  readonly lane: Lane;
  readonly #model: ModelState;
  readonly #dispatch: Dispatch;
  /** In line, before it came here, although its tenant had nothing running. */
  waitedInLineMs = 0;
  /** Gets the reply. Undefined: nobody who could have it wait. */
  client: SlowClient | undefined;
  readonly #expected: Tokens;
  readonly #passage: Passage;
  readonly #charge: ReturnType<ModelState['queue']['counters']['charge']>;
  readonly #request: SlotRequest;
  readonly #now: () => number;
  readonly #onFree: () => void;
  /** Until the reply began: how long the rest takes depends on the client, too. */
  #answeredMs = 0;
  #held = true;

  constructor(options: {
    deployment: D;
    lane: Lane;
    model: ModelState;
    /** How many tokens the request will take, as far as anybody knows. */
    expected: Tokens;
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
    this.#expected = options.expected;
    this.#now = options.now;
    this.#onFree = options.onFree;
    const tenant = tenantOf(options.request.caller);
    this.#charge = options.model.queue.counters.charge(tenant, options.expected);
    // One that comes out of the line is still in it now.
    const hasLine = options.model.queue.counters.hasLine(tenant);
    const { promptBytes, stream } = options.request;
    const timing = this.lane.timings(this.deployment.model).untilBegun(stream);
    this.#passage = this.lane.enter(tenant, hasLine, timing, promptBytes, stream);
  }

  get ageMs(): number {
    return this.#now() - this.startedAtMs;
  }

  get startedAtMs(): number {
    return this.#passage.entry.startedAtMs;
  }

  /** With it more were inside than the backend takes, as is known by now: that it was late says nothing of the backend. */
  get wasCrowded(): boolean {
    const { limit } = this.lane;
    return limit !== undefined && this.#passage.entry.among > limit.limit;
  }

  /** Its client has had it wait: how long it took says nothing of the backend. */
  get wasHeldUp(): boolean {
    return isHeldUp(this.#passage, this.#now());
  }

  /** The reply has begun: the first token of a stream is there, or a whole reply is. */
  answered(ageMs: number): void {
    const { lane } = this;
    const nowMs = this.startedAtMs + ageMs;
    this.#answeredMs = ageMs;
    lane.begun(this.#passage);
    lane.coolDown.answered(this.startedAtMs);
    const { promptBytes, stream } = this.#request;
    const { timing } = this.#passage;
    if (stream) {
      this.#dispatch.firstToken(nowMs);
      lane.ttft.observe(ageMs);
      this.#compare('first-token', ageMs, timing.predictMs(promptBytes));
    }
    timing.observe(promptBytes, ageMs, nowMs);
    this.#model.canaries.began(this.deployment, stream, promptBytes, ageMs, nowMs);
  }

  paused(): void {
    if (this.#held && this.client !== undefined) this.lane.paused(this.#passage, this.client);
  }

  resumed(): void {
    this.lane.resumed(this.#passage);
  }

  failed(error: AppError): void {
    this.lane.failed(error, this.startedAtMs);
    if (error.retryable && !isOurs(error)) {
      this.#dispatch.failed(this.#now());
      this.#model.canaries.outcome(this.deployment, true);
    } else this.#dispatch.cancelled(this.#now());
    this.#free(isAbandonment(error.code) ? this.#workedFor() : undefined);
  }

  /** Another attempt was answered first: that this one was not tells something, too. */
  lost(): void {
    const { promptBytes, stream } = this.#request;
    const predictedMs = this.#passage.timing.predictMs(promptBytes);
    if (predictedMs !== undefined && this.ageMs > predictedMs)
      this.lane.slowness.observe(this.ageMs, predictedMs, this.startedAtMs);
    this.#model.canaries.began(this.deployment, stream, promptBytes, this.ageMs, this.#now());
    this.#dispatch.cancelled(this.#now());
    this.#free(undefined);
  }

  /** The request that was answered here is settled. @param heldUp `wasHeldUp` */
  release({ outcome, code, tpotMs, usage, usageMeasured }: RequestSettled, heldUp: boolean): void {
    const { lane } = this;
    const { completionTokens } = usage;
    const nowMs = this.#now();
    const fault = code !== undefined && ERROR_CATALOGUE[code].retryable;
    if (fault) this.#dispatch.failed(nowMs);
    else if (outcome !== 'ok') this.#dispatch.cancelled(nowMs);
    else this.#tellPolicies(usageMeasured ? usage : undefined, heldUp, nowMs);
    if (outcome === 'ok' || fault) this.#model.canaries.outcome(this.deployment, fault);
    if (tpotMs !== undefined) lane.tpot.observe(tpotMs);
    if (outcome === 'ok' && !heldUp)
      this.#model.replies.observe(
        tenantOf(this.#request.caller).projectId,
        completionTokens,
        nowMs - this.startedAtMs,
      );
    if (outcome === 'ok' && !this.#request.stream) this.#learnWhole(completionTokens, nowMs);
    this.#free({ prompt: usage.promptTokens - usage.cachedPromptTokens, output: completionTokens }, heldUp);
  }

  /** How long a whole reply takes is told by its tokens, or by its prompt where it has none: embeddings are such. */
  #learnWhole(completionTokens: number, nowMs: number): void {
    if (completionTokens === 0) {
      this.#compare('whole', this.#answeredMs, this.#passage.timing.predictMs(this.#request.promptBytes));
      return;
    }
    const { wholeByTokens } = this.lane.timings(this.deployment.model);
    this.#compare('whole', this.#answeredMs, wholeByTokens.predictMs(completionTokens));
    wholeByTokens.observe(completionTokens, this.#answeredMs, nowMs);
  }

  /**
   * What its tenant has had of the backend although nothing came of it: the prompt, and of a reply that comes in one
   * piece a share by time.
   */
  #workedFor(): Tokens {
    const { prompt, output } = this.#expected;
    if (this.#request.stream || output === 0) return { prompt, output: 0 };
    const { ageMs } = this;
    const wholeMs = this.lane.timings(this.deployment.model).wholeByTokens.predictMs(output) ?? ageMs;
    return { prompt, output: output * Math.min(1, ageMs / Math.max(1, wholeMs)) };
  }

  #compare(kind: AnswerKind, observedMs: number, predictedMs: number | undefined): void {
    if (predictedMs === undefined) return;
    const idle = this.#charge.account.line.length === 0;
    this.lane.answered(kind, observedMs, predictedMs, this.#passage, idle, this.waitedInLineMs);
  }

  #tellPolicies(usage: Usage | undefined, heldUp: boolean, nowMs: number): void {
    if (usage !== undefined) this.#model.observePrompt(this.#request.promptBytes, usage.promptTokens);
    this.#dispatch.finished(nowMs, {
      promptTokens: usage?.promptTokens,
      cachedTokens: usage?.cachedPromptTokens,
      // They would count how long each token took.
      outputTokens: heldUp ? undefined : usage?.completionTokens,
    });
  }

  #free(used: Tokens | undefined, heldUp = false): void {
    if (!this.#held) return;
    this.#held = false;
    this.lane.leave(this.#passage, heldUp);
    this.#model.queue.counters.settle(this.#charge, used);
    this.#onFree();
  }
}

/** It never got to the backend, for a reason that is none of the backend's: this process may open no more connections. */
function isOurs({ code, nothingSent }: AppError): boolean {
  return code === 'model_unavailable' && nothingSent;
}
