import { LatencyModel, type PrefillWork } from './latency-model.ts';
import type { DispatchInfo } from './lifecycle.ts';
import type { PrefixMatch } from './prefix-index.ts';
import { RepliesUnderWay } from './replies-under-way.ts';
import { type InLine, WaitingLine } from './waiting-line.ts';

/** A request that is at a deployment. */
export interface Running extends InLine<Running> {
  readonly dispatch: DispatchInfo;
  /** Its own, as was expected when it was sent. */
  readonly work: PrefillWork;
  /** All before its first token: its own and that of the requests ahead. */
  readonly workAhead: PrefillWork;
  readonly match: PrefixMatch;
  readonly cachedTokens: number;
  readonly predictedTtftMs: number;
  /** The same without what others were said to have waiting there, and what that would come to. */
  readonly plainTtftMs: number;
  readonly claimedMs: number;
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

  /** Prompt work before a request that is sent now, without what the oldest has had done already. */
  workAhead(nowMs: number): PrefillWork {
    if (nowMs >= this.#nextUnseenMs) this.#passUnseen(nowMs);
    const { oldest } = this.#waiting;
    if (oldest === undefined) return { tokens: 0, pairs: 0 };
    const { tokens, pairs } = oldest.work;
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
    for (const { dispatch } of this.#waiting) {
      if (dispatch.request.stream) return nowMs - dispatch.dispatchedAtMs;
    }
    return 0;
  }

  /** Since anything was sent there: what is known is as old. */
  unaskedMs(nowMs: number): number {
    return nowMs - this.#lastSentAtMs;
  }

  enter(running: Running): void {
    this.#lastSentAtMs = running.dispatch.dispatchedAtMs;
    this.#waiting.join(running);
    this.#waitingTokens += running.work.tokens;
    this.#waitingPairs += running.work.pairs;
    this.#kvTokens += running.dispatch.request.promptTokens;
    if (!running.dispatch.request.stream)
      this.#nextUnseenMs = Math.min(this.#nextUnseenMs, unseenAtMs(running));
  }

  firstToken(running: Running, nowMs: number): void {
    if (!this.#waiting.leave(running)) return;
    this.#noLongerWaits(running);
    const { tokens, pairs } = running.work;
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

  #noLongerWaits({ work }: Running): void {
    const empty = this.#waiting.length === 0;
    this.#waitingTokens = empty ? 0 : this.#waitingTokens - work.tokens;
    this.#waitingPairs = empty ? 0 : this.#waitingPairs - work.pairs;
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

function unseenAtMs({ dispatch, predictedTtftMs }: Running): number {
  return dispatch.dispatchedAtMs + predictedTtftMs;
}

/** How far one first token moves the trust in what a deployment says. */
const TRUST_STEP = 0.1;
const HALF_LIFE_MS = 3_000;
const FORGOTTEN_MS = 15_000;
/** Requests of others that a scrape is believed to tell of, at most. */
const MAX_FOREIGN = 256;

/**
 * Requests at a deployment that others sent, as told by its metrics: what it says is waiting beyond what we have waiting
 * there. A hint that fades: between scrapes, own accounting is what counts. Whose first tokens come as if nobody else were
 * there is believed less.
 */
export class ForeignLoad {
  #waiting = 0;
  #running = 0;
  #atMs = Number.NEGATIVE_INFINITY;
  #trust = 1;

  /** Of what it says: 0 to 1. */
  get trust(): number {
    return this.#trust;
  }

  /** A first token came: nearer to what was expected without what others were said to have waiting, or with it? */
  judge({ plainTtftMs, claimedMs }: Running, ttftMs: number): void {
    if (claimedMs < plainTtftMs) return;
    const isBorneOut = ttftMs ** 2 > plainTtftMs * (plainTtftMs + claimedMs);
    this.#trust += TRUST_STEP * ((isBorneOut ? 1 : 0) - this.#trust);
  }

  scraped(own: { waiting: number; decoding: number }, waiting: number, running: number, nowMs: number): void {
    if (!Number.isFinite(waiting + running)) return;
    // What runs there may be ours that waits here: the sums are compared, and what waits counts first.
    const others = waiting + running - own.waiting - own.decoding;
    this.#waiting = Math.min(MAX_FOREIGN, Math.max(0, Math.min(waiting - own.waiting, others)));
    this.#running = Math.min(MAX_FOREIGN, Math.max(0, others - this.#waiting));
    this.#atMs = nowMs;
  }

  /** As it says. */
  waiting(nowMs: number): number {
    return this.#waiting * this.#freshness(nowMs);
  }

  /** As it says. */
  running(nowMs: number): number {
    return this.#running * this.#freshness(nowMs);
  }

  #freshness(nowMs: number): number {
    const ageMs = nowMs - this.#atMs;
    return ageMs > FORGOTTEN_MS ? 0 : 0.5 ** (ageMs / HALF_LIFE_MS);
  }
}
