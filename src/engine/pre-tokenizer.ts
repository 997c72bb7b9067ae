/** The part of a `tokenizer.json` that says how text is cut before byte-pair merging. */
export interface PreTokenizerRules {
  readonly normalizer: object | null;
  readonly preTokenizer: object;
  /** A piece that is a vocabulary entry is taken whole, without replaying merges. */
  readonly ignoreMerges: boolean;
  /** Whether a beginning-of-sequence token is added where the file does not say. */
  readonly addBos: boolean;
}

/** Cuts by each pattern in turn, then writes every piece in the byte-level alphabet. */
export function splitting(...patterns: readonly string[]): object {
  return {
    type: 'Sequence',
    pretokenizers: [
      ...patterns.map((pattern) => ({
        type: 'Split',
        pattern: { Regex: pattern },
        behavior: 'Isolated',
        invert: false,
      })),
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  };
}

/**
 * Written out although `ByteLevel` and `Digits` have it built in: the library's own versions of those take U+FEFF for a
 * space and only 0–9 for digits, unlike the reference implementation.
 */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const GPT2: PreTokenizerRules = {
  normalizer: null,
  preTokenizer: splitting(GPT2_PATTERN),
  ignoreMerges: false,
  addBos: false,
};

const CL100K: PreTokenizerRules = {
  normalizer: null,
  preTokenizer: splitting(
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ),
  ignoreMerges: false,
  addBos: false,
};

/** A number is one token per digit. */
const STARCODER: PreTokenizerRules = { ...GPT2, preTokenizer: splitting('\\p{N}', GPT2_PATTERN) };

const QWEN2: PreTokenizerRules = {
  normalizer: { type: 'NFC' },
  preTokenizer: splitting(
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ),
  ignoreMerges: false,
  addBos: false,
};

const LLAMA3: PreTokenizerRules = { ...CL100K, ignoreMerges: true, addBos: true };

/** Parts of patterns that cut words where capitals begin. */
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
const REST_WITH_SLASHES = '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const O200K: PreTokenizerRules = {
  normalizer: null,
  preTokenizer: splitting(
    `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${CONTRACTION}|\\p{N}{1,3}${REST_WITH_SLASHES}`,
  ),
  ignoreMerges: false,
  addBos: false,
};

/**
 * By the GGUF key `tokenizer.ggml.pre`. Each entry is what the `tokenizer.json` published with that model family says;
 * the names are those of llama.cpp (`src/llama-vocab.cpp`).
 */
const RULES: Readonly<Record<string, PreTokenizerRules>> = {
  'gpt-2': GPT2,
  default: GPT2,
  smollm: STARCODER,
  starcoder: STARCODER,
  // Granite.
  refact: STARCODER,
  qwen2: QWEN2,
  // DeepSeek R1 distilled into Qwen 2.5.
  'deepseek-r1-qwen': QWEN2,
  'llama-bpe': LLAMA3,
  llama3: LLAMA3,
  'llama-v3': LLAMA3,
  // SmolLM3 among others.
  'smaug-bpe': { ...LLAMA3, addBos: false },
  // OLMo 2 and 3 among others.
  dbrx: CL100K,
  // Phi 4 mini.
  'gpt-4o': O200K,
  // Mistral Nemo and Small.
  tekken: {
    normalizer: null,
    preTokenizer: splitting(
      `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*|\\p{N}${REST_WITH_SLASHES}`,
    ),
    ignoreMerges: true,
    addBos: true,
  },
};

/** Undefined for a name we do not know: guessing would silently give wrong tokens. */
export function preTokenizerRules(name: string): PreTokenizerRules | undefined {
  return Object.hasOwn(RULES, name) ? RULES[name] : undefined;
}

export const PRE_TOKENIZER_NAMES: readonly string[] = Object.keys(RULES);
