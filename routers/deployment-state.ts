import type { Forecast } from './forecast.ts';
import { ForeignLoad } from './foreign-load.ts';
import { LatencyModel, type PrefillWork } from './latency-model.ts';
import type { DispatchInfo } from './lifecycle.ts';
import { RepliesUnderWay } from './replies-under-way.ts';
import { type InLine, WaitingLine } from './waiting-line.ts';

/** A request that is at a deployment. */
export interface Running extends InLine<Running> {
  readonly dispatch: DispatchInfo;
  /** As it was when it was sent. */
  readonly forecast: Forecast;
  firstTokenAtMs: number | undefined;
  ttftMs: number | undefined;
  /** Sequences and KV tokens beside it when its first token came. */
  sequences: number;
  kvTokens: number;
}

/** What is known of one deployment: what is under way there, and how long things take. */
export class DeploymentState {
  readonly latency = new LatencyModel();
  readonly foreign = new ForeignLoad();
  readonly replies = new RepliesUnderWay();
  /** Without a first token, oldest first. */
  readonly #waiting = new WaitingLine<Running>();
  /** Those of them that will show one. */
  #waitingStreams = 0;
  /** Of those that show no first token, the earliest that is taken to have had it by now. */
  #nextUnseenMs = Number.POSITIVE_INFINITY;
  #waitingTokens = 0;
  #waitingPairs = 0;
  #kvTokens = 0;
  #lastFirstTokenAtMs = Number.NEGATIVE_INFINITY;
  #lastSentAtMs = Number.NEGATIVE_INFINITY;

  get waiting(): number {
    return this.#waiting.length;
  }

  get decoding(): number {
    return this.replies.count;
  }

  /** Tokens of all requests there, as far as they are known. */
  get kvTokens(): number {
    return this.#kvTokens;
  }

  /** Prompt work ahead of a request that is sent now, without what has been done already of the oldest. */
  workAhead(nowMs: number): PrefillWork {
    if (nowMs >= this.#nextUnseenMs) this.#passUnseen(nowMs);
    const { oldest } = this.#waiting;
    if (oldest === undefined) return { tokens: 0, pairs: 0 };
    const { tokens, pairs } = oldest.forecast.own;
    const ownMs = this.latency.scale * this.latency.prefillMs(tokens, pairs);
    const sinceMs = nowMs - Math.max(oldest.dispatch.dispatchedAtMs, this.#lastFirstTokenAtMs);
    const done = ownMs > 0 ? Math.min(1, sinceMs / ownMs) : 1;
    return {
      tokens: Math.max(0, this.#waitingTokens - done * tokens),
      pairs: Math.max(0, this.#waitingPairs - done * pairs),
    };
  }

  /** How long the oldest request of those that will show a first token has waited for it. */
  oldestWaitMs(nowMs: number): number {
    if (this.#waitingStreams === 0) return 0;
    for (const { dispatch } of this.#waiting) {
      if (dispatch.request.stream) return nowMs - dispatch.dispatchedAtMs;
    }
    return 0;
  }

  /** Since anything was sent there: what is known is that old. */
  unaskedMs(nowMs: number): number {
    return nowMs - this.#lastSentAtMs;
  }

  enter(running: Running): void {
    this.#lastSentAtMs = running.dispatch.dispatchedAtMs;
    this.#waiting.join(running);
    this.#waitingTokens += running.forecast.own.tokens;
    this.#waitingPairs += running.forecast.own.pairs;
    this.#kvTokens += running.dispatch.request.promptTokens;
    if (running.dispatch.request.stream) this.#waitingStreams += 1;
    else this.#nextUnseenMs = Math.min(this.#nextUnseenMs, unseenAtMs(running));
  }

  firstToken(running: Running, nowMs: number): void {
    if (!this.#waiting.leave(running)) return;
    this.#noLongerWaits(running);
    const { tokens, pairs } = running.forecast.own;
    this.replies.begin(running, this.latency.scale * this.latency.prefillMs(tokens, pairs), nowMs);
    this.#lastFirstTokenAtMs = nowMs;
    running.firstTokenAtMs = nowMs;
    running.sequences = this.decoding;
    running.kvTokens = this.#kvTokens;
  }

  leave(running: Running): void {
    if (this.#waiting.leave(running)) this.#noLongerWaits(running);
    else this.replies.end(running);
    this.#kvTokens -= running.dispatch.request.promptTokens;
  }

  #noLongerWaits({ dispatch, forecast: { own } }: Running): void {
    if (dispatch.request.stream) this.#waitingStreams -= 1;
    const empty = this.#waiting.length === 0;
    this.#waitingTokens = empty ? 0 : this.#waitingTokens - own.tokens;
    this.#waitingPairs = empty ? 0 : this.#waitingPairs - own.pairs;
  }

  #passUnseen(nowMs: number): void {
    this.#nextUnseenMs = Number.POSITIVE_INFINITY;
    for (const running of this.#waiting) {
      if (running.dispatch.request.stream) continue;
      const atMs = unseenAtMs(running);
      if (atMs <= nowMs) this.firstToken(running, atMs);
      else this.#nextUnseenMs = Math.min(this.#nextUnseenMs, atMs);
    }
  }
}

function unseenAtMs({ dispatch, forecast }: Running): number {
  return dispatch.dispatchedAtMs + forecast.ttftMs;
}
