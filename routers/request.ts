import type { PrivacyClass, Usd } from './candidate.ts';

/** What is never relaxed: by no retry, no hedge, no exploration, not even when everything else is down. */
export interface Constraints {
  /** The loosest class that may see the text. Undefined: any. */
  readonly privacy?: PrivacyClass | undefined;
  /** The only regions that may. Undefined: any. */
  readonly regions?: readonly string[] | undefined;
  /** The most that the request may be expected to cost. */
  readonly maxCostUsd?: Usd | undefined;
  /** The least quality, such as a classifier of difficulty asked for. 0 to 1. */
  readonly minQuality?: number | undefined;
}

/** What a prompt has beside its text, as prices count it. */
export interface Media {
  readonly images: number;
  readonly audioSeconds: number;
}

export const NO_MEDIA: Media = { images: 0, audioSeconds: 0 };

/** What a policy may know of a request. */
export interface RequestFeatures {
  /** An estimate will do: bytes / 4 for English, measured per model if possible. */
  readonly promptTokens: number;
  /** Replies that come as a whole show no first token; their queueing is guessed. */
  readonly stream: boolean;
  /** The client's limit. */
  readonly maxOutputTokens?: number | undefined;
  /** If somebody knows better than what is learnt of the tenant's earlier requests. */
  readonly expectedOutputTokens?: number | undefined;
  /**
   * All choices together, as a limit of its cost has to reckon with them: as many as it asks for, or as usual where it does not say. Known
   * where there is such a limit.
   */
  readonly likelyOutputTokens?: number | undefined;
  /** Drawn side by side, in the time of one. Default: 1. */
  readonly choices?: number | undefined;
  /** Default: none. */
  readonly media?: Media | undefined;
  /**
   * The prompt's beginning in blocks of equal size, as made by `hashPrompt`: two 32-bit lanes per block, each block's
   * hash covering everything before it. Empty: unknown, nothing is expected to be cached.
   */
  readonly blocks: Int32Array;
  /** Tokens of one block. */
  readonly blockTokens: number;
  /** Capabilities without which the request fails. */
  readonly needs: readonly string[];
  /** Requests with the same key want the same deployment. */
  readonly sessionKey?: string | undefined;
  /** Whose lengths of replies are learnt together. */
  readonly tenant?: string | undefined;
  /** What the operator, the tenant and the request demand, already combined by `strictest`. */
  readonly constraints: Constraints;
  /** Less than this quality will do, and is to be preferred: the request is easy. 0 to 1. */
  readonly enoughBelow?: number | undefined;
  /** Replaces the model's aim, if it is shorter. */
  readonly sloTtftMs?: number | undefined;
  readonly sloTpotMs?: number | undefined;
}

/** A request of which nothing is known. */
export const UNKNOWN_REQUEST: RequestFeatures = {
  promptTokens: 0,
  stream: true,
  blocks: new Int32Array(0),
  blockTokens: 0,
  needs: [],
  constraints: {},
};
