import type { PrefillWork } from './latency-model.ts';
import type { PrefixMatch } from './prefix-index.ts';

/** What is expected of a request at a deployment, before price and wishes are looked at. */
export interface Forecast {
  readonly match: PrefixMatch;
  readonly cachedTokens: number;
  /** The request's own prompt work. */
  readonly own: PrefillWork;
  readonly ownMs: number;
  /** Prompt work ahead of it, of requests from here. */
  readonly ahead: PrefillWork;
  /** The same, and what is believed of that of others. */
  readonly queuedMs: number;
  readonly ttftMs: number;
  readonly tpotMs: number;
  /** `ttftMs` without the work that others are said to have waiting there. */
  readonly plainTtftMs: number;
  /** That work, as the deployment says. */
  readonly claimedMs: number;
}
