import type { Candidate, Usd } from './candidate.ts';
import type { LifecycleEvent } from './lifecycle.ts';
import type { RequestFeatures } from './request.ts';
import type { RoutingKnowledge } from './routing-knowledge.ts';

/** What a policy expects of one request at one deployment. */
export interface Prediction {
  /** From dispatch to the first token, queue included. */
  readonly ttftMs: number;
  /** Per output token after the first. */
  readonly tpotMs: number;
  readonly costUsd: Usd;
  /** Prompt tokens that need not be computed. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
}

export interface Ranked<C extends Candidate> {
  readonly candidate: C;
  /** What the policy ordered by, lower is better; comparable within one decision only. */
  readonly score: number;
  /** What the score was made of, by name, for explanations. */
  readonly parts: Readonly<Record<string, number>>;
  /** Where the policy needed one; else it is made afterwards, for explanations. */
  readonly prediction?: Prediction;
}

export interface PolicyInput<C extends Candidate> {
  readonly request: RequestFeatures;
  /** All of them allowed to serve the request; whether they are ready is for the policy to see. */
  readonly candidates: readonly C[];
  /** Monotonic. */
  readonly nowMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Orders candidates, best first: those that are ready before those that are not (when nothing is ready, trying one
 * beats refusing). Those not returned are not tried. May keep state of its own per public model; does no I/O, reads no
 * clock, throws nothing.
 */
export interface Policy {
  readonly name: string;
  rank<C extends Candidate>(input: PolicyInput<C>): readonly Ranked<C>[];
  /** What became of the requests that were dispatched under this policy. */
  observe?(event: LifecycleEvent): void;
}

/** How one public model wants its requests spread. Every policy gets all of it and takes what concerns it. */
export interface PolicySettings {
  readonly weights: {
    /** Of the load that the request adds, in units of the time to first token that is aimed at. */
    readonly latency: number;
    /** Of the time spent on output, in the same units. */
    readonly output: number;
    /** Of a US dollar, in the same units: 100 makes one cent as bad as missing the aim by its whole length. */
    readonly cost: number;
    /** Of the whole range of quality, in the same units. */
    readonly quality: number;
  };
  /** What a request aims at unless it says otherwise. */
  readonly slo: {
    readonly ttftMs: number;
    /** Added to `ttftMs` for every prompt token: nobody expects a book to be read at once. */
    readonly ttftMsPerPromptToken: number;
    readonly tpotMs: number;
  };
  /** Share of requests that go elsewhere in the same privacy class to learn. 0 to 1. */
  readonly exploration: number;
}

export const DEFAULT_SETTINGS: PolicySettings = {
  weights: { latency: 1, output: 0.02, cost: 100, quality: 1 },
  slo: { ttftMs: 2_000, ttftMsPerPromptToken: 0.1, tpotMs: 50 },
  exploration: 0.01,
};

export interface PolicyOptions {
  /** What is known of the deployments, shared by the policies of all models. */
  readonly knowledge: RoutingKnowledge;
  readonly settings: PolicySettings;
}

/** Each policy's file exports one. */
export type PolicyFactory = (options: PolicyOptions) => Policy;
