import { PRE_TOKENIZER_NAMES, preTokenizerRules } from './pre-tokenizer.ts';
import { type TokenizerDescription, TokenizerError } from './tokenizer-description.ts';

/** Key → value of a GGUF file's header. */
export type ModelMetadata = ReadonlyMap<string, unknown>;

/** `tokenizer.ggml.token_type` (llama.cpp `llama_token_type`). */
const CONTROL = 3;
const USER_DEFINED = 4;

/** The tokenizer of a GGUF file. Throws TokenizerError when it is missing or of another kind. */
export function ggufTokenizer(metadata: ModelMetadata): TokenizerDescription {
  const model = metadata.get('tokenizer.ggml.model');
  if (model === undefined) throw new TokenizerError('The model file has no tokenizer.ggml.model.');
  if (model !== 'gpt2')
    throw new TokenizerError(`The tokenizer model ${JSON.stringify(model)} is not supported (only "gpt2").`);
  const pre = metadata.get('tokenizer.ggml.pre') ?? 'default';
  const rules = preTokenizerRules(String(pre));
  if (rules === undefined)
    throw new TokenizerError(
      `The pre-tokenizer ${JSON.stringify(pre)} is not supported (only ${PRE_TOKENIZER_NAMES.join(', ')}).`,
    );
  const entries = stringArray(metadata, 'tokenizer.ggml.tokens');
  const types = metadata.get('tokenizer.ggml.token_type') as ArrayLike<unknown> | undefined;
  const idsOfType = (type: number) => new Set([...entries.keys()].filter((id) => types?.[id] === type));
  const bosId = tokenId(metadata, 'bos_token_id', entries.length);
  const addBos = metadata.get('tokenizer.ggml.add_bos_token');
  return {
    entries,
    control: idsOfType(CONTROL),
    userDefined: idsOfType(USER_DEFINED),
    merges: stringArray(metadata, 'tokenizer.ggml.merges').map(mergePair),
    rules,
    bosId,
    eosId: tokenId(metadata, 'eos_token_id', entries.length),
    addBos: bosId !== undefined && (typeof addBos === 'boolean' ? addBos : rules.addBos),
    endIds: ['eot_token_id', 'eom_token_id']
      .map((name) => tokenId(metadata, name, entries.length))
      .filter((id) => id !== undefined),
  };
}

function stringArray(metadata: ModelMetadata, key: string): readonly string[] {
  const value = metadata.get(key);
  if (!Array.isArray(value) || value.length === 0 || typeof value[0] !== 'string')
    throw new TokenizerError(`The model file has no ${key}.`);
  return value as readonly string[];
}

function tokenId(metadata: ModelMetadata, name: string, vocabularySize: number): number | undefined {
  const value = metadata.get(`tokenizer.ggml.${name}`);
  const id = typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;
  return id !== undefined && id >= 0 && id < vocabularySize ? id : undefined;
}

/** Entries in the byte-level alphabet hold no space; the first character may be anything. */
export function mergePair(merge: string): [string, string] {
  const at = merge.indexOf(' ', 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}
