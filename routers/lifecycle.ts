import type { RequestFeatures } from './request.ts';

/** Tokens as the deployment counted them; what it did not tell is undefined. */
export interface MeasuredUsage {
  /** Includes the cached ones. */
  readonly promptTokens?: number | undefined;
  readonly cachedTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
}

/** One request at one deployment. `nowMs` is on the clock that policies are given. */
interface AtDeployment {
  readonly dispatch: DispatchInfo;
  readonly nowMs: number;
}

export type LifecycleEvent = AtDeployment &
  (
    | { readonly type: 'dispatched' }
    /** Of a stream: the first token is there. `cachedTokens` where the deployment tells so early (the local engine does). */
    | { readonly type: 'first-token'; readonly ttftMs: number; readonly cachedTokens: number | undefined }
    | { readonly type: 'finished'; readonly usage: MeasuredUsage }
    /** The deployment broke it: connection, 5xx, time-out. */
    | { readonly type: 'failed' }
    /** The client left, another attempt was answered first, or the deployment refused it for what it is (4xx). */
    | { readonly type: 'cancelled' }
  );

export interface DispatchInfo {
  readonly deployment: string;
  readonly request: RequestFeatures;
  readonly dispatchedAtMs: number;
}

type Observer = { observe?(event: LifecycleEvent): void } | undefined;

/**
 * The life of one request at one deployment, told to whom it concerns:
 *
 *   dispatched ─▶ first token ─▶ finished | failed | cancelled
 *
 * Made in the same tick as the choice, before anything is awaited, so that the next choice knows of it. The first of the
 * endings counts, later calls do nothing; each dispatch must come to one.
 */
export class Dispatch implements DispatchInfo {
  readonly deployment: string;
  readonly request: RequestFeatures;
  readonly dispatchedAtMs: number;
  readonly #observers: readonly Observer[];
  #state: 'waiting' | 'streaming' | 'ended' = 'waiting';

  /** @param observers The routing knowledge, and the policy that chose. */
  constructor(deployment: string, request: RequestFeatures, nowMs: number, observers: readonly Observer[]) {
    this.deployment = deployment;
    this.request = request;
    this.dispatchedAtMs = nowMs;
    this.#observers = observers;
    this.#tell({ type: 'dispatched', dispatch: this, nowMs });
  }

  firstToken(nowMs: number, cachedTokens?: number): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'streaming';
    const ttftMs = nowMs - this.dispatchedAtMs;
    this.#tell({ type: 'first-token', dispatch: this, nowMs, ttftMs, cachedTokens });
  }

  /** Without a first token before: a reply that came as a whole. */
  finished(nowMs: number, usage: MeasuredUsage): void {
    if (this.#end()) this.#tell({ type: 'finished', dispatch: this, nowMs, usage });
  }

  failed(nowMs: number): void {
    if (this.#end()) this.#tell({ type: 'failed', dispatch: this, nowMs });
  }

  cancelled(nowMs: number): void {
    if (this.#end()) this.#tell({ type: 'cancelled', dispatch: this, nowMs });
  }

  #end(): boolean {
    if (this.#state === 'ended') return false;
    this.#state = 'ended';
    return true;
  }

  #tell(event: LifecycleEvent): void {
    for (const observer of this.#observers) observer?.observe?.(event);
  }
}
