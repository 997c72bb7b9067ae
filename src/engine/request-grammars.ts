import { GrammarCache } from '../../kernels/grammar/grammar-cache.ts';
import { GrammarError } from '../../kernels/grammar/grammar-error.ts';
import { TrialsBusyError } from '../../kernels/grammar/grammar-trials.ts';
import type { CompiledGrammar } from '../../kernels/grammar/token-grammars.ts';
import { AppError } from '../core/error.ts';
import type { PromptModel } from './prompt-tokens.ts';
import { grammarRefusal, type RequestGrammar, requestGrammar } from './request-grammar.ts';

type Asked = Parameters<typeof requestGrammar>[0];

/** Compiled grammars for requests of one model. The library is loaded with the first request that needs one. */
export class RequestGrammars {
  readonly #model: PromptModel;
  readonly #logits: number;
  #cache: GrammarCache | undefined;

  /** `logits`: width of the model's output, at least the size of the vocabulary. */
  constructor(model: PromptModel, logits: number) {
    this.#model = model;
    this.#logits = logits;
  }

  /** Undefined: the reply is free. Rejects with an AppError. */
  compile(request: Asked): Promise<CompiledGrammar> | undefined {
    try {
      const grammar = requestGrammar(request, this.#model.template?.dialect ?? 'hermes');
      return grammar && this.#compile(grammar);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #compile({ text, param }: RequestGrammar): Promise<CompiledGrammar> {
    this.#cache ??= this.#newCache();
    try {
      return await this.#cache.get(text);
    } catch (error) {
      if (error instanceof GrammarError) throw grammarRefusal(error, param);
      if (error instanceof TrialsBusyError)
        throw new AppError('overloaded', { retryAfterMs: 1_000, cause: error });
      throw error;
    }
  }

  #newCache(): GrammarCache {
    const { tokenizer } = this.#model;
    const tokens = Array.from({ length: tokenizer.vocabularySize }, (_, id) => tokenizer.textBytes(id));
    return new GrammarCache({ tokens, logits: this.#logits, endIds: [...tokenizer.endIds] });
  }
}
