import type { NativeCompiler, NativeHandle, NativeMatcher, Xgrammar } from './xgrammar.ts';

/** What grammars have to know of a tokenizer. */
export interface GrammarVocabulary {
  /** By id, the bytes that a token stands for; none for tokens that are no text: grammars never allow those. */
  readonly tokens: readonly Uint8Array[];
  /** Width of a row of logits, at least the number of tokens. */
  readonly logits: number;
  /** Tokens that end a text; allowed where the grammar may end. */
  readonly endIds: readonly number[];
}

/** Rules in xgrammar's EBNF; the rule `root` is the text as a whole. */
export type GrammarText = string;

/** One vocabulary inside one instance of xgrammar: compiles grammars for it. */
export class TokenGrammars {
  readonly #xgrammar: Xgrammar;
  readonly #compiler: NativeCompiler;
  readonly #logits: number;
  readonly #endIds: readonly number[];

  /** Takes some hundred milliseconds for a usual vocabulary. */
  constructor(xgrammar: Xgrammar, { tokens, logits, endIds }: GrammarVocabulary) {
    const { vecStringFromJSArray, vecIntFromJSArray } = xgrammar;
    const info = new xgrammar.TokenizerInfo(
      vecStringFromJSArray(tokens),
      'RAW',
      logits,
      vecIntFromJSArray(endIds),
      false,
    );
    this.#xgrammar = xgrammar;
    this.#compiler = new xgrammar.GrammarCompiler(info, 1, false);
    this.#logits = logits;
    this.#endIds = endIds;
  }

  /** Blocks. A text that is no grammar aborts the instance. */
  compile(text: GrammarText): CompiledGrammar {
    const parsed = this.#xgrammar.Grammar.FromEBNF(text, 'root');
    const handle = this.#compiler.CompileGrammar(parsed);
    parsed.delete();
    return new CompiledGrammar(this.#xgrammar, handle, this.#logits, this.#endIds);
  }
}

/** Frees what nobody refers to any more, such as the matcher of a request that was refused after all. */
const unreachable = new FinalizationRegistry<NativeHandle>((handle) => handle.delete());

/** A grammar for one vocabulary. Matchers outlive it. */
export class CompiledGrammar {
  readonly #xgrammar: Xgrammar;
  readonly #handle: NativeHandle;
  readonly #logits: number;
  readonly #endIds: readonly number[];

  constructor(xgrammar: Xgrammar, handle: NativeHandle, logits: number, endIds: readonly number[]) {
    this.#xgrammar = xgrammar;
    this.#handle = handle;
    this.#logits = logits;
    this.#endIds = endIds;
    unreachable.register(this, handle, this);
  }

  matcher(): GrammarMatcher {
    const native = new this.#xgrammar.GrammarMatcher(this.#handle, undefined, false, -1);
    return new GrammarMatcher(this.#xgrammar, native, this.#logits, this.#endIds);
  }

  /** At once, not when it is found unreachable. Must not be used afterwards. */
  dispose(): void {
    unreachable.unregister(this);
    this.#handle.delete();
  }
}

/** Follows one text token by token. To be disposed of: the garbage collector does not see how large it is. */
export class GrammarMatcher {
  /**
   * Bit i of word j: token 32 j + i may come next. Always that of the current state; empty at a state from which nothing
   * leads on. The array is reused.
   */
  readonly mask: Int32Array;
  readonly #xgrammar: Xgrammar;
  readonly #logits: number;
  readonly #endIds: readonly number[];
  #native: NativeMatcher | undefined;

  constructor(xgrammar: Xgrammar, native: NativeMatcher, logits: number, endIds: readonly number[]) {
    this.mask = new Int32Array(Math.ceil(logits / 32));
    this.#xgrammar = xgrammar;
    this.#native = native;
    this.#logits = logits;
    this.#endIds = endIds;
    unreachable.register(this, native, this);
    this.#fill(native);
  }

  /** Whether the text may end here. */
  get mayEnd(): boolean {
    return this.#endIds.some((id) => this.allows(id));
  }

  /** Whether the text is complete: nothing but an end may follow. */
  get mustEnd(): boolean {
    if (!this.mayEnd) return false;
    const ends = this.#endIds.filter((id) => this.allows(id)).length;
    let allowed = 0;
    for (const word of this.mask) {
      for (let bits = word; bits !== 0; bits &= bits - 1) allowed++;
      if (allowed > ends) return false;
    }
    return true;
  }

  allows(token: number): boolean {
    return ((this.mask[token >> 5]! >>> (token & 31)) & 1) === 1;
  }

  /** Goes on by a token. False, and nothing changes, when it is not allowed, or an end: nothing can follow that. */
  accept(token: number): boolean {
    const native = this.#native;
    if (native === undefined || !this.allows(token) || this.#endIds.includes(token)) return false;
    if (!native.AcceptToken(token, false)) return false;
    this.#fill(native);
    return true;
  }

  /** May be called more than once. */
  dispose(): void {
    unreachable.unregister(this);
    this.#native?.delete();
    this.#native = undefined;
  }

  #fill(native: NativeMatcher): void {
    const vector = native.GetNextTokenBitmask(this.#logits);
    this.mask.set(this.#xgrammar.vecIntToView(vector));
    vector.delete();
  }
}
