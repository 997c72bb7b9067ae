import { tokenLogprobs } from '../../kernels/logprobs.ts';
import { type SamplerState, sample } from '../../kernels/sampler.ts';
import type { FinishReason, Part, TokenLogprob } from '../core/part.ts';
import type { StopRules } from '../core/sampling.ts';
import { Detokenizer } from './detokenizer.ts';
import type { Schedulable } from './scheduler.ts';
import { StopMatcher } from './stop-matcher.ts';

/** What a sequence needs of the tokenizer. */
interface TokenNames {
  readonly endIds: ReadonlySet<number>;
  textBytes(id: number): Uint8Array;
  tokenBytes(id: number): Uint8Array;
}

export interface SequenceOptions {
  /** The request it belongs to. */
  readonly request: number;
  /** The choice it answers. */
  readonly index: number;
  readonly prompt: readonly number[];
  /** Tokens that may be generated, at least 1: what was asked for or what the context has room for. */
  readonly tokenLimit: number;
  readonly stop: StopRules;
  readonly sampler: SamplerState;
  readonly tokens: TokenNames;
  readonly topLogprobs: number | undefined;
}

/** Waits until the token's text, characters [startsAt, endsAt) of the reply, is shown. */
interface HeldLogprob {
  readonly startsAt: number;
  readonly endsAt: number;
  readonly logprob: TokenLogprob;
}

/** The wire has no infinity; vLLM's stand-in. */
const LEAST_LOGPROB = -9999;

/** One choice on its way: logits in, parts out. Knows when to stop; knows nothing of slots and batches. */
export class Sequence implements Schedulable {
  readonly request: number;
  readonly index: number;
  readonly prompt: readonly number[];
  /** The token to be decoded next. */
  lastToken = 0;
  /** All tokens generated. */
  readonly output: number[] = [];
  /** Tokens generated, including the one that ended the sequence. */
  generated = 0;
  /** Prompt tokens that were taken from the prefix cache. */
  cachedTokens = 0;
  #done = false;
  readonly #options: SequenceOptions;
  readonly #banned: readonly number[];
  readonly #stopIds: ReadonlySet<number>;
  readonly #detokenizer = new Detokenizer();
  readonly #stops: StopMatcher;
  #textLength = 0;
  #shownLength = 0;
  #held: HeldLogprob[] = [];

  constructor(options: SequenceOptions) {
    const { stop, tokens } = options;
    this.#options = options;
    this.request = options.request;
    this.index = options.index;
    this.prompt = options.prompt;
    this.#stopIds = new Set(stop.tokenIds);
    this.#banned = [...(stop.ignoreEos ? [] : tokens.endIds), ...this.#stopIds];
    this.#stops = new StopMatcher(stop.strings, stop.includeStopString);
  }

  get promptLength(): number {
    return this.prompt.length;
  }

  get done(): boolean {
    return this.#done;
  }

  cancel(): void {
    this.#done = true;
  }

  /** Draws the next token from its logits [vocabulary]. Returns what that shows of the reply. */
  accept(logits: Float32Array): Part[] {
    const { stop, sampler, tokens, topLogprobs } = this.#options;
    const mayStop = this.generated >= stop.minTokens;
    const token = sample(logits, sampler, mayStop ? [] : this.#banned);
    sampler.record(token);
    this.lastToken = token;
    this.output.push(token);
    this.generated++;

    if (mayStop && this.#stopIds.has(token)) return this.#finish('', 'stop', token);
    if (mayStop && !stop.ignoreEos && tokens.endIds.has(token)) return this.#finish('', 'stop');

    const text = this.#detokenizer.push(tokens.textBytes(token));
    const startsAt = this.#textLength;
    this.#textLength += text.length;
    if (topLogprobs !== undefined)
      this.#held.push({
        startsAt,
        endsAt: this.#textLength,
        logprob: this.#logprob(logits, token, topLogprobs),
      });
    const found = mayStop ? this.#stops.push(text) : { text, match: undefined };
    if (found.match !== undefined) {
      this.#done = true;
      this.#held = this.#held.filter((h) => h.startsAt < this.#shownLength + found.text.length);
      return this.#lastParts(found.text, 'stop', found.match);
    }
    if (this.generated >= this.#options.tokenLimit) return this.#finish(found.text, 'length');
    return [this.#delta(found.text)];
  }

  /** Ends without a stop string: what was held back, waiting for one, is part of the reply. */
  #finish(text: string, reason: FinishReason, stopMatch?: number): Part[] {
    this.#done = true;
    return this.#lastParts(text + this.#stops.flush() + this.#detokenizer.flush(), reason, stopMatch);
  }

  #lastParts(text: string, reason: FinishReason, stopMatch: string | number | undefined): Part[] {
    return [
      this.#delta(text),
      { type: 'finish', index: this.index, reason, ...(stopMatch === undefined ? {} : { stopMatch }) },
    ];
  }

  #delta(text: string): Part {
    this.#shownLength += text.length;
    const logprobs = this.#releasedLogprobs();
    return {
      type: 'text-delta',
      index: this.index,
      text,
      tokens: 1,
      ...(logprobs.length > 0 ? { logprobs } : {}),
    };
  }

  /** A token's log-probability comes with its text: what a stop string swallowed is not told that way either. */
  #releasedLogprobs(): TokenLogprob[] {
    if (this.#held.length === 0) return [];
    const released = this.#held.filter((h) => this.#done || h.endsAt <= this.#shownLength);
    this.#held = this.#held.slice(released.length);
    return released.map((h) => h.logprob);
  }

  #logprob(logits: Float32Array, token: number, topCount: number): TokenLogprob {
    const { logprob, top } = tokenLogprobs(logits, token, topCount);
    return {
      ...this.#named(token, logprob),
      top: top.map((alternative) => this.#named(alternative.token, alternative.logprob)),
    };
  }

  #named(token: number, logprob: number): { token: string; bytes: readonly number[]; logprob: number } {
    const bytes = this.#options.tokens.tokenBytes(token);
    return {
      token: Buffer.from(bytes).toString('utf8'),
      bytes: [...bytes],
      logprob: Number.isFinite(logprob) ? logprob : LEAST_LOGPROB,
    };
  }
}
