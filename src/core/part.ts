import type { AppError } from './error.ts';
import type { Usage } from './usage.ts';

export type FinishReason = 'stop' | 'length' | 'tool-calls' | 'content-filter';

export interface TokenLogprob {
  readonly token: string;
  readonly bytes: readonly number[];
  readonly logprob: number;
  readonly top: readonly {
    readonly token: string;
    readonly bytes: readonly number[];
    readonly logprob: number;
  }[];
}

/**
 * A reply as typed events. Order: `start`, then deltas with one `finish` per choice, then `usage`. An `error` may come
 * at any time and is the last part.
 */
export type Part =
  | { readonly type: 'start'; readonly promptTokens: number; readonly cachedPromptTokens: number }
  /** `tokens`: how many tokens this delta stands for; may be 0 when held-back text is released. */
  | {
      readonly type: 'text-delta';
      readonly index: number;
      readonly text: string;
      readonly tokens: number;
      readonly logprobs?: readonly TokenLogprob[];
    }
  | {
      readonly type: 'reasoning-delta';
      readonly index: number;
      readonly text: string;
      readonly tokens: number;
    }
  /** `id` and `name` come once, with the first delta of a call; `call` numbers the calls of a choice. */
  | {
      readonly type: 'tool-call-delta';
      readonly index: number;
      readonly call: number;
      readonly id?: string;
      readonly name?: string;
      readonly arguments: string;
      readonly tokens: number;
    }
  | {
      readonly type: 'finish';
      readonly index: number;
      readonly reason: FinishReason;
      /** The stop string or stop token that matched, if one did. */
      readonly stopMatch?: string | number;
    }
  | { readonly type: 'usage'; readonly usage: Usage }
  | { readonly type: 'error'; readonly error: AppError };
