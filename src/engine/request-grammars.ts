import { GrammarCache } from '../../kernels/grammar/grammar-cache.ts';
import { GrammarError } from '../../kernels/grammar/grammar-error.ts';
import { TrialsBusyError } from '../../kernels/grammar/grammar-trials.ts';
import { LimitedMatcher, TokenLengths } from '../../kernels/grammar/limited-matcher.ts';
import { AppError } from '../core/error.ts';
import type { PromptModel } from './prompt-tokens.ts';
import { grammarRefusal, type RequestGrammar, requestGrammar } from './request-grammar.ts';
import type { TextConstraint } from './sequence.ts';

/** Makes the constraint of one choice. */
export type NewConstraint = () => TextConstraint;

type Asked = Parameters<typeof requestGrammar>[0];

/** Compiled grammars for requests of one model. The library is loaded with the first request that needs one. */
export class RequestGrammars {
  readonly #model: PromptModel;
  readonly #logits: number;
  #cache: GrammarCache | undefined;
  #lengths: TokenLengths | undefined;

  /** `logits`: width of the model's output, at least the size of the vocabulary. */
  constructor(model: PromptModel, logits: number) {
    this.#model = model;
    this.#logits = logits;
  }

  /** Undefined: the reply is free. Rejects with an AppError. */
  compile(request: Asked): Promise<NewConstraint> | undefined {
    try {
      const grammar = requestGrammar(request, this.#model.template?.dialect ?? 'hermes');
      return grammar && this.#compile(grammar);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #compile({ text, limits, param }: RequestGrammar): Promise<NewConstraint> {
    this.#cache ??= this.#newCache();
    try {
      const grammar = await this.#cache.get(text);
      if (limits === undefined) return () => grammar.matcher();
      this.#lengths ??= new TokenLengths(this.#tokens());
      const lengths = this.#lengths;
      return () => new LimitedMatcher(grammar.matcher(), limits, lengths);
    } catch (error) {
      if (error instanceof GrammarError) throw grammarRefusal(error, param);
      if (error instanceof TrialsBusyError)
        throw new AppError('overloaded', { retryAfterMs: 1_000, cause: error });
      throw error;
    }
  }

  #newCache(): GrammarCache {
    const endIds = [...this.#model.tokenizer.endIds];
    return new GrammarCache({ tokens: this.#tokens(), logits: this.#logits, endIds });
  }

  #tokens(): Uint8Array[] {
    const { tokenizer } = this.#model;
    return Array.from({ length: tokenizer.vocabularySize }, (_, id) => tokenizer.textBytes(id));
  }
}
