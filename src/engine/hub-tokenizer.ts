import { hubByteLevel } from './hub-byte-level.ts';
import { flattened, type JsonObject, listOf, objectOf, shown } from './hub-json.ts';
import { hubSentencePiece } from './hub-sentencepiece.ts';
import { type TokenizerDescription, TokenizerError } from './tokenizer-description.ts';

/** The files of a Hugging Face model directory that say how text becomes tokens, as parsed JSON. */
export interface HubTokenizerFiles {
  /** `tokenizer.json` */
  readonly tokenizer: JsonObject;
  /** `tokenizer_config.json` */
  readonly tokenizerConfig: JsonObject;
  /** `generation_config.json` */
  readonly generationConfig: JsonObject;
  /** `config.json` */
  readonly config: JsonObject;
}

/** Vocabularies of today have up to 300 thousand tokens. */
const MOST_TOKENS = 2 ** 21;

/** The BPE tokenizer of a Hugging Face model directory. Throws TokenizerError when it is of another kind. */
export function hubTokenizer(files: HubTokenizerFiles): TokenizerDescription {
  const model = objectOf(files.tokenizer.model);
  if (model.type !== 'BPE')
    throw new TokenizerError(`The tokenizer model ${shown(model.type)} is not supported (only BPE).`);
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix'])
    if (model[key]) throw new TokenizerError(`The tokenizer's ${key} is not supported.`);
  const addedTokens = listOf(files.tokenizer.added_tokens).map(objectOf);
  const entries = vocabulary(model.vocab, addedTokens);
  const idsOf = (has: (token: JsonObject) => boolean) =>
    new Set(addedTokens.filter(has).map(({ id }) => id as number));
  const ids = new Map(entries.map((entry, id) => [entry, id]));
  const named = (key: string) => ids.get(tokenText(files.tokenizerConfig[key]) ?? '');
  const valid = (id: unknown): id is number => typeof id === 'number' && id in entries;
  const first = (key: string) =>
    [files.generationConfig, files.config].flatMap((file) => [file[key]].flat()).find(valid);
  const bosId = named('bos_token') ?? first('bos_token_id');
  return {
    entries,
    control: idsOf(({ special }) => special === true),
    userDefined: idsOf(({ special }) => special !== true),
    stripsLeft: idsOf(({ lstrip }) => lstrip === true),
    stripsRight: idsOf(({ rstrip }) => rstrip === true),
    scheme:
      model.byte_fallback === true
        ? hubSentencePiece(files.tokenizer, entries)
        : hubByteLevel(files.tokenizer),
    bosId,
    eosId: named('eos_token') ?? first('eos_token_id'),
    addBos: bosId !== undefined && addsBos(files, entries[bosId]!),
    endIds: [files.generationConfig, files.config]
      .flatMap(({ eos_token_id: eos }) => [eos].flat())
      .filter(valid),
  };
}

function vocabulary(vocab: unknown, addedTokens: readonly JsonObject[]): string[] {
  const pairs: (readonly [string, unknown])[] = [
    ...Object.entries(objectOf(vocab)),
    ...addedTokens.map(({ content, id }) => [String(content), id] as const),
  ];
  if (pairs.length === 0) throw new TokenizerError('The tokenizer has no vocabulary.');
  const entries: string[] = [];
  for (const [entry, id] of pairs) {
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= MOST_TOKENS)
      throw new TokenizerError(`The tokenizer gives ${shown(entry)} the id ${shown(id)}.`);
    entries[id as number] = entry;
  }
  // Ids that nothing stands for are tokens without text.
  return Array.from(entries, (entry) => entry ?? '');
}

/** The beginning-of-sequence token is put before texts by the post-processor, or by a setting of older files. */
function addsBos({ tokenizer, tokenizerConfig }: HubTokenizerFiles, bos: string): boolean {
  if (typeof tokenizerConfig.add_bos_token === 'boolean') return tokenizerConfig.add_bos_token;
  return flattened(tokenizer.post_processor, 'processors').some(
    ({ single }) => objectOf(objectOf(listOf(single)[0]).SpecialToken).id === bos,
  );
}

/** `"<s>"` or `{"content": "<s>", …}` */
function tokenText(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value : objectOf(value).content;
  return typeof text === 'string' ? text : undefined;
}
