export type Usd = number;

/**
 * Where a deployment keeps what it reads: in this process group, on servers of the operator, or at somebody else's.
 * From strictest to loosest; whoever demands one of them accepts the stricter ones.
 */
export const PRIVACY_CLASSES = ['local', 'private', 'public'] as const;
export type PrivacyClass = (typeof PRIVACY_CLASSES)[number];

/** What a provider charges: USD per million tokens, and what comes on top. */
export interface TokenPrice {
  readonly inputUsdPerMTok: number;
  readonly cachedInputUsdPerMTok: number;
  readonly outputUsdPerMTok: number;
  readonly usdPerRequest?: number | undefined;
  /** Of the prompt. */
  readonly usdPerImage?: number | undefined;
  readonly usdPerAudioSecond?: number | undefined;
}

/** What a policy may know of a deployment. Whatever is undefined is unknown and neither helps nor excludes, except where said. */
export interface Candidate {
  /** Unique and lasting: what was learnt is kept by it. Two public models that name the same one share what is learnt. */
  readonly id: string;
  /** As far as its health, breaker and cool-downs tell. */
  readonly ready: boolean;
  /** Requests dispatched and not yet settled, counted from the moment of choosing. */
  readonly inFlight: number;
  /** Requests it takes at a time. */
  readonly capacity?: number | undefined;
  /** Features that it has, such as `tools`, `image`, `structured-output`. Undefined: takes everything. */
  readonly capabilities?: ReadonlySet<string> | undefined;
  /** Largest prompt + output. */
  readonly contextTokens?: number | undefined;
  readonly price?: TokenPrice | undefined;
  /** What its machine costs, for deployments without a price per token. */
  readonly machineUsdPerHour?: number | undefined;
  /** Undefined is taken for `public`. */
  readonly privacy?: PrivacyClass | undefined;
  /** Undefined satisfies no demand for a region, unless the deployment is local: then nothing leaves at all. */
  readonly region?: string | undefined;
  /** 0 to 1, as the operator judges. Undefined is taken for 1. */
  readonly quality?: number | undefined;
  /** Share of the requests under the policy `weighted`. Undefined is taken for 1; 0 gets none while others are there. */
  readonly weight?: number | undefined;
}
