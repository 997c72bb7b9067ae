import { END_OF_REPLY } from './end-of-reply.ts';
import { mergePair } from './hub-json.ts';
import { PRE_TOKENIZER_NAMES, preTokenizerRules } from './pre-tokenizer.ts';
import { byteOfEntry, type TokenizerDescription, TokenizerError } from './tokenizer-description.ts';

/** Key → value of a GGUF file's header. */
export type ModelMetadata = ReadonlyMap<string, unknown>;

/** `tokenizer.ggml.token_type` (llama.cpp `llama_token_type`). */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

/** The tokenizer of a GGUF file. Throws TokenizerError when it is missing or of another kind. */
export function ggufTokenizer(metadata: ModelMetadata): TokenizerDescription {
  const model = metadata.get('tokenizer.ggml.model');
  if (model === undefined) throw new TokenizerError('The model file has no tokenizer.ggml.model.');
  const file = new GgufVocabulary(metadata);
  if (model === 'gpt2') return byteLevel(file);
  if (model === 'llama') return sentencePiece(file);
  throw new TokenizerError(
    `The tokenizer model ${JSON.stringify(model)} is not supported (only "gpt2" and "llama").`,
  );
}

function byteLevel(file: GgufVocabulary): TokenizerDescription {
  const pre = file.value('pre') ?? 'default';
  const rules = preTokenizerRules(String(pre));
  if (rules === undefined)
    throw new TokenizerError(
      `The pre-tokenizer ${JSON.stringify(pre)} is not supported (only ${PRE_TOKENIZER_NAMES.join(', ')}).`,
    );
  const bosId = file.tokenId('bos_token_id');
  return {
    ...file.tokens(),
    scheme: { kind: 'byte-level', merges: file.strings('merges').map(mergePair), rules },
    stripsRight: new Set(),
    bosId,
    eosId: file.tokenId('eos_token_id'),
    addBos: bosId !== undefined && (file.flag('add_bos_token') ?? rules.addBos),
  };
}

/** For what such files leave out, llama.cpp's defaults hold (`src/llama-vocab.cpp`). */
function sentencePiece(file: GgufVocabulary): TokenizerDescription {
  const tokens = file.tokens();
  const scores = file.value('scores') as ArrayLike<unknown> | undefined;
  if (scores?.length !== tokens.entries.length || typeof scores[0] !== 'number')
    throw new TokenizerError('The model file has no tokenizer.ggml.scores, or not one for each token.');
  const byteIds: (number | undefined)[] = new Array(256).fill(undefined);
  for (const id of file.idsOfType(BYTE)) {
    const byte = byteOfEntry(tokens.entries[id]!);
    if (byte !== undefined) byteIds[byte] = id;
  }
  return {
    ...tokens,
    scheme: {
      kind: 'sentencepiece',
      precedence: { by: 'score', scores: scores as ArrayLike<number> },
      byteIds,
      unknownId: file.tokenId('unknown_token_id', 0),
      leadingSpace: { of: (file.flag('add_space_prefix') ?? true) ? 'all' : 'none', doubled: true },
    },
    stripsRight: file.architecture === 'phi3' ? strippingTokensOfPhi3(tokens) : new Set(),
    bosId: file.tokenId('bos_token_id', 1),
    eosId: file.tokenId('eos_token_id', 2),
    addBos: file.flag('add_bos_token') ?? true,
  };
}

/** As the tokenizer.json of Phi 3 has it; GGUF files do not say. */
function strippingTokensOfPhi3({ entries, control, userDefined }: SpecialIds): ReadonlySet<number> {
  const others = new Set(['<unk>', '<s>', '<|endoftext|>']);
  return new Set([...control, ...userDefined].filter((id) => !others.has(entries[id]!)));
}

type SpecialIds = Pick<TokenizerDescription, 'entries' | 'control' | 'userDefined'>;

/** Checked access to what begins with `tokenizer.ggml.`. */
class GgufVocabulary {
  readonly architecture: unknown;
  readonly #metadata: ModelMetadata;
  readonly #entries: readonly string[];

  constructor(metadata: ModelMetadata) {
    this.#metadata = metadata;
    this.architecture = metadata.get('general.architecture');
    this.#entries = this.strings('tokens');
  }

  /** What is read in the same way, whatever the scheme. */
  tokens() {
    const entries = this.#entries;
    // Some files call the token that ends a reply a text token.
    const ends = entries.flatMap((entry, id) => (END_OF_REPLY.has(entry) ? [id] : []));
    const control = new Set([...this.idsOfType(CONTROL), ...this.idsOfType(UNKNOWN), ...ends]);
    return {
      entries,
      control,
      userDefined: new Set(this.idsOfType(USER_DEFINED).filter((id) => !control.has(id))),
      stripsLeft: new Set<number>(),
      endIds: ['eot_token_id', 'eom_token_id']
        .map((name) => this.tokenId(name))
        .filter((id) => id !== undefined),
    };
  }

  idsOfType(type: number): number[] {
    const types = this.value('token_type') as ArrayLike<unknown> | undefined;
    return [...this.#entries.keys()].filter((id) => types?.[id] === type);
  }

  value(name: string): unknown {
    return this.#metadata.get(`tokenizer.ggml.${name}`);
  }

  flag(name: string): boolean | undefined {
    const value = this.value(name);
    return typeof value === 'boolean' ? value : undefined;
  }

  strings(name: string): readonly string[] {
    const value = this.value(name);
    if (!Array.isArray(value) || value.length === 0 || typeof value[0] !== 'string')
      throw new TokenizerError(`The model file has no tokenizer.ggml.${name}.`);
    return value as readonly string[];
  }

  tokenId(name: string, fallback?: number): number | undefined {
    const value = this.value(name);
    const id = typeof value === 'number' || typeof value === 'bigint' ? Number(value) : fallback;
    return id !== undefined && id >= 0 && id < this.#entries.length ? id : undefined;
  }
}
