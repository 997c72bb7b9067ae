import type { Deployment, Price } from './deployment.ts';

/** What was known and expected of one deployment when it was considered. */
export interface ConsideredDeployment {
  readonly candidate: {
    readonly id: string;
    readonly ready: boolean;
    readonly inFlight: number;
    readonly capacity?: number | undefined;
    readonly contextTokens?: number | undefined;
    readonly price?: Price | undefined;
    readonly machineUsdPerHour?: number | undefined;
    readonly privacy?: Deployment['privacy'] | undefined;
    readonly region?: string | undefined;
    readonly quality?: number | undefined;
    readonly weight?: number | undefined;
  };
  /** Lower is better; comparable within one choice only. */
  readonly score: number;
  /** What the score was made of. */
  readonly parts: Readonly<Record<string, number>>;
  /** Undefined where there was no choice. */
  readonly prediction?: {
    readonly ttftMs: number;
    readonly tpotMs: number;
    readonly costUsd: number;
    readonly cachedTokens: number;
    readonly outputTokens: number;
  };
}

/** One choice among the deployments that had room: for the first attempt, a retry or a hedge. The first one was taken. */
export interface Choice {
  /** On the gateway's monotonic clock. */
  readonly atMs: number;
  readonly policy: string;
  readonly ranked: readonly ConsideredDeployment[];
  /**
   * Those that might have served it, too, if they had been up, had had room, or if the request had fallen to their
   * side of a trial.
   */
  readonly passedOver: readonly {
    readonly deployment: string;
    readonly because: 'not-ready' | 'full' | 'trial';
  }[];
}

/** What the choice went by. Never content. */
export interface DecisionFeatures {
  readonly promptTokens: number;
  readonly stream: boolean;
  readonly maxOutputTokens?: number | undefined;
  /** Hashes of the prompt's beginning, two lanes per block of `blockTokens`. */
  readonly blocks: Int32Array;
  readonly blockTokens: number;
  readonly sessionKey?: string | undefined;
  readonly tenant?: string | undefined;
  readonly constraints: {
    readonly privacy?: string | undefined;
    readonly regions?: readonly string[] | undefined;
    readonly maxCostUsd?: number | undefined;
    readonly minQuality?: number | undefined;
  };
  readonly sloTtftMs?: number | undefined;
  /** 0 to 1; undefined: nobody asked. */
  readonly difficulty?: number | undefined;
  /** Deployments of less than this quality were preferred, because it was easy. */
  readonly enoughBelow?: number | undefined;
  /** The classifier that said so, with its version. */
  readonly judgedBy?: string | undefined;
}

/** How a request came to its deployments, so that this can be explained and replayed. */
export interface Decision {
  readonly id: string;
  readonly features: DecisionFeatures;
  /** Those that might not serve it, and what forbade it: privacy, region, cost, quality, context. */
  readonly refused: readonly { readonly deployment: string; readonly obstacle: string }[];
  /** Deployments on trial: which the request fell to, and why it stayed away from the others. */
  readonly trials: readonly {
    readonly deployment: string;
    readonly part: 'drawn' | 'not-drawn' | 'rolled-back';
  }[];
  readonly choices: readonly Choice[];
}
