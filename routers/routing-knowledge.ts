import { DeploymentState, type Running } from './deployment-state.ts';
import type { Forecast } from './forecast.ts';
import { type PrefillWork, prefillWork } from './latency-model.ts';
import { Dispatch, type DispatchInfo, type LifecycleEvent, type MeasuredUsage } from './lifecycle.ts';
import { OutputLengths } from './output-lengths.ts';
import { PrefixIndex } from './prefix-index.ts';
import type { RequestFeatures } from './request.ts';

/** What a deployment's own metrics say, at the moment they were read. */
export interface ScrapedLoad {
  /** vLLM `num_requests_waiting`, SGLang `num_queue_reqs`, llama.cpp's deferred requests. */
  readonly waiting: number;
  /** vLLM `num_requests_running`, SGLang `num_running_reqs`, llama.cpp's busy slots. */
  readonly running: number;
}

/**
 * What is known of all deployments, by their id: learnt from the life of the requests that were sent there. One per
 * process, shared by the policies of all public models.
 */
export class RoutingKnowledge {
  readonly prefixes: PrefixIndex;
  readonly outputs = new OutputLengths();
  readonly #states = new Map<string, DeploymentState>();

  constructor(options: { readonly maxPrefixBlocks?: number } = {}) {
    this.prefixes = new PrefixIndex(options.maxPrefixBlocks);
  }

  /** Counts a request from this moment on. @param policy The one that chose, if it wants to know. */
  dispatch(
    deployment: string,
    request: RequestFeatures,
    nowMs: number,
    policy?: { observe?(event: LifecycleEvent): void },
  ): Dispatch {
    let running: Running | undefined;
    const observe = (event: LifecycleEvent) => {
      running = this.#follow(event, running);
    };
    return new Dispatch(deployment, request, nowMs, [{ observe }, policy]);
  }

  state(deployment: string): DeploymentState {
    let state = this.#states.get(deployment);
    if (state === undefined) {
      state = new DeploymentState();
      this.#states.set(deployment, state);
    }
    return state;
  }

  forecast(deployment: string, request: RequestFeatures, nowMs: number): Forecast {
    const state = this.state(deployment);
    const { latency, foreign } = state;
    const match = this.prefixes.match(deployment, request.blocks);
    const seenTokens = match.blocks * match.kept * request.blockTokens;
    const cachedTokens = Math.min(seenTokens, Math.max(0, request.promptTokens - 1));
    const own = prefillWork(request.promptTokens, cachedTokens);
    const ahead = state.workAhead(nowMs);
    const ownMs = latency.scale * latency.prefillMs(own.tokens, own.pairs);
    const claimedMs = foreign.waiting(nowMs) * ownMs;
    const foreignMs = foreign.trust * claimedMs;
    const queuedMs = latency.scale * latency.prefillMs(ahead.tokens, ahead.pairs) + foreignMs;
    // A deployment that has kept somebody waiting for this long will not serve anybody sooner: it may be hanging.
    const ttftMs = Math.max(latency.scale * latency.netMs + queuedMs + ownMs, state.oldestWaitMs(nowMs));
    const tpotMs = latency.tpotMs(
      state.decoding + 1 + foreign.trust * foreign.running(nowMs),
      state.kvTokens,
    );
    const plainTtftMs = ttftMs - foreignMs;
    return { match, cachedTokens, own, ownMs, ahead, queuedMs, ttftMs, tpotMs, plainTtftMs, claimedMs };
  }

  /** Corrects what is known by what the deployment says about itself. */
  scraped(deployment: string, load: ScrapedLoad, nowMs: number): void {
    const state = this.state(deployment);
    state.foreign.scraped(state, load.waiting, load.running, nowMs);
  }

  /** It has been restarted, and its memory of prompts is gone. */
  restarted(deployment: string): void {
    this.prefixes.forget(deployment);
  }

  /** Forgets the deployments that are no longer configured. */
  retain(deployments: ReadonlySet<string>): void {
    for (const id of this.#states.keys()) {
      if (deployments.has(id)) continue;
      this.#states.delete(id);
      this.prefixes.forget(id);
    }
  }

  /** @returns What is known of the request from here on; undefined: it has ended. */
  #follow(event: LifecycleEvent, running: Running | undefined): Running | undefined {
    const { dispatch, nowMs } = event;
    if (event.type === 'dispatched') return this.#enter(dispatch, nowMs);
    if (running === undefined) return undefined;
    const state = this.state(dispatch.deployment);
    if (event.type === 'first-token') {
      running.ttftMs = event.ttftMs;
      state.foreign.judge(running.forecast, event.ttftMs);
      state.firstToken(running, nowMs);
      state.latency.observeSpeed(promptWork(running), event.ttftMs);
      if (event.cachedTokens !== undefined) this.#learnTtft(state, running, event);
      return running;
    }
    if (event.type === 'finished') this.#learn(state, running, event.usage, nowMs);
    state.leave(running);
    return undefined;
  }

  #enter(dispatch: DispatchInfo, nowMs: number): Running {
    const { deployment, request } = dispatch;
    const state = this.state(deployment);
    const running: Running = {
      dispatch,
      forecast: this.forecast(deployment, request, nowMs),
      firstTokenAtMs: undefined,
      ttftMs: undefined,
      sequences: 0,
      kvTokens: 0,
      older: undefined,
      newer: undefined,
    };
    state.enter(running);
    this.prefixes.touch(deployment, request.blocks);
    return running;
  }

  #learn(state: DeploymentState, running: Running, usage: MeasuredUsage, nowMs: number): void {
    const { request, dispatchedAtMs } = running.dispatch;
    const { outputTokens } = usage;
    if (outputTokens !== undefined) this.outputs.observe(request.tenant, outputTokens);
    const steps = outputTokens === undefined ? undefined : outputTokens / (request.choices ?? 1) - 1;
    if (!request.stream) {
      if (steps !== undefined) this.#learnWhole(state, running, usage, steps, nowMs - dispatchedAtMs);
      return;
    }
    if (running.ttftMs !== undefined) this.#learnTtft(state, running, usage);
    const { firstTokenAtMs } = running;
    if (firstTokenAtMs === undefined || steps === undefined || steps < 1) return;
    const tpotMs = (nowMs - firstTokenAtMs) / steps;
    const sequences = (running.sequences + state.decoding) / 2;
    const kvTokens = (running.kvTokens + state.kvTokens) / 2;
    state.latency.observeTpot(sequences, kvTokens, tpotMs);
  }

  /**
   * It shows how long it took, but not when it began: prompt and output are both taken to have been slower than
   * expected by that much.
   */
  #learnWhole(
    state: DeploymentState,
    running: Running,
    usage: MeasuredUsage,
    stepsAfterFirst: number,
    durationMs: number,
  ): void {
    const { latency } = state;
    const { tokens, pairs } = promptWork(running);
    const sequences = Math.max(1, ((running.sequences || state.decoding) + state.decoding) / 2);
    const kvTokens = ((running.kvTokens || state.kvTokens) + state.kvTokens) / 2;
    const ttftMs = latency.netMs + latency.prefillMs(tokens, pairs);
    const tpotMs = latency.tpotMs(sequences, kvTokens);
    const steps = Math.max(0, stepsAfterFirst);
    const slowness = durationMs / Math.max(1, ttftMs + steps * tpotMs);
    running.ttftMs = ttftMs * slowness;
    this.#learnTtft(state, running, usage);
    if (steps > 0) latency.observeTpot(sequences, kvTokens, tpotMs * slowness);
  }

  /** Once per request, when it is known how much of it was cached, or clear that nobody will tell. */
  #learnTtft(state: DeploymentState, running: Running, usage: MeasuredUsage): void {
    const { dispatch, forecast } = running;
    const { blockTokens, promptTokens } = dispatch.request;
    const { cachedTokens = forecast.cachedTokens } = usage;
    if (usage.cachedTokens !== undefined && blockTokens > 0)
      this.prefixes.correct(dispatch.deployment, forecast.match, Math.round(cachedTokens / blockTokens));
    const own = prefillWork(usage.promptTokens ?? promptTokens, cachedTokens);
    state.latency.observeTtft(sum(own, forecast.ahead), running.ttftMs!);
    running.ttftMs = undefined;
  }
}

/** All before its first token, as was expected: its own and that of the requests ahead. */
function promptWork({ forecast: { own, ahead } }: Running): PrefillWork {
  return sum(own, ahead);
}

function sum(a: PrefillWork, b: PrefillWork): PrefillWork {
  return { tokens: a.tokens + b.tokens, pairs: a.pairs + b.pairs };
}
