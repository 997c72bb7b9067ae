import { tokenLogprobs } from '../../kernels/logprobs.ts';
import { type SamplerState, sample } from '../../kernels/sampler.ts';
import type { FinishReason, Part, TokenLogprob } from '../core/part.ts';
import type { StopRules } from '../core/sampling.ts';
import { Detokenizer } from './detokenizer.ts';
import type { Schedulable } from './scheduler.ts';
import { StopMatcher } from './stop-matcher.ts';
import type { ToolCallDeltas } from './tool-call-deltas.ts';

/** What its text is held to; kernels/grammar's matcher. */
export interface TextConstraint {
  /** Bit i of word j: token 32 j + i may come next. */
  readonly mask: Int32Array;
  /** The text is complete: nothing but an end may follow. */
  readonly mustEnd: boolean;
  /** False: the token was not allowed. */
  accept(token: number): boolean;
  dispose(): void;
}

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
  /** Whose kept prompts it may use. */
  readonly cacheSalt?: string | undefined;
  /** Tokens that may be generated, at least 1: what was asked for, or what the context has room for. */
  readonly tokenLimit: number;
  readonly stop: StopRules;
  readonly sampler: SamplerState;
  readonly tokens: TokenNames;
  readonly topLogprobs: number | undefined;
  /** It ends where the constraint does, whatever `ignoreEos` and `minTokens` say. Disposed of at the end. */
  readonly constraint?: TextConstraint | undefined;
  readonly toolCalls?: ToolCallDeltas | undefined;
}

type TextDelta = Extract<Part, { type: 'text-delta' }>;

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
  readonly cacheSalt: string;
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
  readonly #ignoreEos: boolean;
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
    this.#ignoreEos = stop.ignoreEos && options.constraint === undefined;
    this.request = options.request;
    this.index = options.index;
    this.prompt = options.prompt;
    this.cacheSalt = options.cacheSalt ?? '';
    this.#stopIds = new Set(stop.tokenIds);
    this.#banned = [...(this.#ignoreEos ? [] : tokens.endIds), ...this.#stopIds];
    this.#stops = new StopMatcher(stop.strings, stop.includeStopString);
  }

  get promptLength(): number {
    return this.prompt.length;
  }

  get done(): boolean {
    return this.#done;
  }

  cancel(): void {
    this.#end();
  }

  #end(): void {
    this.#done = true;
    this.#options.constraint?.dispose();
  }

  /** Draws the next token from its logits [vocabulary]. Returns what the client is now shown of the reply. */
  accept(logits: Float32Array): Part[] {
    const { stop, sampler, tokens, topLogprobs, constraint } = this.#options;
    const mayStop = this.generated >= stop.minTokens || constraint?.mustEnd === true;
    const token = sample(logits, sampler, mayStop ? [] : this.#banned, constraint?.mask);
    sampler.record(token);
    this.lastToken = token;
    this.output.push(token);
    this.generated++;

    if (mayStop && this.#stopIds.has(token)) return this.#finish('', 'stop', token);
    if (mayStop && !this.#ignoreEos && tokens.endIds.has(token)) return this.#finish('', 'stop');
    if (constraint?.accept(token) === false) throw new Error(`The grammar refuses token ${token}.`);

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
      this.#end();
      this.#held = this.#held.filter((h) => h.startsAt < this.#shownLength + found.text.length);
      return this.#lastParts(found.text, 'stop', found.match);
    }
    if (constraint?.mustEnd) return this.#finish(found.text, 'stop');
    if (this.generated >= this.#options.tokenLimit) return this.#finish(found.text, 'length');
    const parts = this.#deltas(found.text);
    return this.#options.toolCalls?.isComplete ? [...parts, ...this.#finish('', 'stop')] : parts;
  }

  /** Ends without a stop string: what was held back, waiting for one, is part of the reply. */
  #finish(text: string, reason: FinishReason, stopMatch?: number): Part[] {
    this.#end();
    return this.#lastParts(text + this.#stops.flush(), reason, stopMatch);
  }

  #lastParts(text: string, reason: FinishReason, stopMatch: string | number | undefined): Part[] {
    const { toolCalls } = this.#options;
    const parts = this.#deltas(text);
    if (toolCalls !== undefined) parts.push(...toolCalls.flush());
    const isCall = reason === 'stop' && stopMatch === undefined && toolCalls?.hasCalls;
    const matched = stopMatch === undefined ? {} : { stopMatch };
    return [
      ...parts,
      { type: 'finish', index: this.index, reason: isCall ? 'tool-calls' : reason, ...matched },
    ];
  }

  /** Parts of text and of tool calls; the token is counted with the first. */
  #deltas(text: string): Part[] {
    const delta = this.#delta(text);
    return this.#options.toolCalls?.divide(delta) ?? [delta];
  }

  #delta(text: string): TextDelta {
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

  /** A token's log-probability comes with its text: where a stop string has swallowed the text, neither is shown. */
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
