import { GrammarTimeError } from './grammar-error.ts';
import { GrammarTrials, LIMITS, type TrialLimits } from './grammar-trials.ts';
import {
  type CompiledGrammar,
  type GrammarText,
  type GrammarVocabulary,
  TokenGrammars,
} from './token-grammars.ts';
import { createXgrammar } from './xgrammar.ts';

const MOST_GRAMMARS = 64;
/** Grammars that were refused are remembered too: asking again costs nothing. */
const MOST_REFUSALS = 256;

/**
 * Grammars compiled for one vocabulary, the most recently used ones kept. A new one is tried in a worker first, then
 * compiled here, which blocks for as long as that took: at most the limit of the trial.
 */
export class GrammarCache {
  readonly #vocabulary: GrammarVocabulary;
  readonly #trials: GrammarTrials;
  readonly #compiled = new Map<GrammarText, CompiledGrammar>();
  readonly #refused = new Map<GrammarText, { readonly error: Error; readonly untilMs: number }>();
  readonly #forgetMs: number;
  readonly #pending = new Map<GrammarText, Promise<CompiledGrammar>>();
  #grammars: Promise<TokenGrammars> | undefined;

  constructor(vocabulary: GrammarVocabulary, limits: Partial<TrialLimits> = {}) {
    this.#vocabulary = vocabulary;
    this.#trials = new GrammarTrials(vocabulary, limits);
    this.#forgetMs = limits.forgetMs ?? LIMITS.forgetMs;
  }

  /** Rejects with GrammarError for what cannot be used, TrialsBusyError when too much is being compiled. */
  get(text: GrammarText): Promise<CompiledGrammar> {
    const compiled = this.#compiled.get(text);
    if (compiled !== undefined) {
      this.#keep(text, compiled);
      return Promise.resolve(compiled);
    }
    const refused = this.#refused.get(text);
    if (refused !== undefined && performance.now() < refused.untilMs) return Promise.reject(refused.error);
    let pending = this.#pending.get(text);
    if (pending === undefined) {
      pending = this.#compile(text).finally(() => this.#pending.delete(text));
      this.#pending.set(text, pending);
    }
    return pending;
  }

  close(): Promise<void> {
    return this.#trials.close();
  }

  async #compile(text: GrammarText): Promise<CompiledGrammar> {
    try {
      await this.#trials.attempt(text);
    } catch (error) {
      if (error instanceof Error && error.name === 'GrammarError') this.#refuse(text, error);
      throw error;
    }
    const compiled = (await this.#tokenGrammars()).compile(text);
    this.#keep(text, compiled);
    return compiled;
  }

  async #tokenGrammars(): Promise<TokenGrammars> {
    this.#grammars ??= createXgrammar(() => {}).then((x) => new TokenGrammars(x, this.#vocabulary));
    try {
      return await this.#grammars;
    } catch (error) {
      // Memory may have been short: the next one tries again.
      this.#grammars = undefined;
      throw error;
    }
  }

  #keep(text: GrammarText, compiled: CompiledGrammar): void {
    this.#compiled.delete(text);
    this.#compiled.set(text, compiled);
    // Not disposed of: a request may be about to use it.
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size > MOST_GRAMMARS && oldest !== undefined) this.#compiled.delete(oldest);
  }

  #refuse(text: GrammarText, error: Error): void {
    const forMs = error instanceof GrammarTimeError ? this.#forgetMs : Number.POSITIVE_INFINITY;
    this.#refused.set(text, { error, untilMs: performance.now() + forMs });
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > MOST_REFUSALS && oldest !== undefined) this.#refused.delete(oldest);
  }
}
