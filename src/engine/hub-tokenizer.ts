import { mergePair } from './gguf-tokenizer.ts';
import { GPT2_PATTERN, type PreTokenizerRules, splitting } from './pre-tokenizer.ts';
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

type JsonObject = Readonly<Record<string, unknown>>;

/** Vocabularies of today have up to 300 thousand tokens. */
const MOST_TOKENS = 2 ** 21;

/** The byte-level BPE tokenizer of a Hugging Face model directory. Throws TokenizerError when it is of another kind. */
export function hubTokenizer(files: HubTokenizerFiles): TokenizerDescription {
  const model = objectOf(files.tokenizer.model);
  if (model.type !== 'BPE' || model.byte_fallback === true)
    throw new TokenizerError(
      `The tokenizer model ${shown(model.type)}${model.byte_fallback === true ? ' with byte fallback' : ''} is not supported (only byte-level BPE).`,
    );
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix'])
    if (model[key]) throw new TokenizerError(`The tokenizer's ${key} is not supported.`);
  const addedTokens = listOf(files.tokenizer.added_tokens).map(objectOf);
  const entries = vocabulary(model.vocab, addedTokens);
  const idsOf = (special: boolean) =>
    new Set(
      addedTokens.filter((token) => (token.special === true) === special).map(({ id }) => id as number),
    );
  const ids = new Map(entries.map((entry, id) => [entry, id]));
  const named = (key: string) => ids.get(tokenText(files.tokenizerConfig[key]) ?? '');
  const valid = (id: unknown): id is number => typeof id === 'number' && id in entries;
  const first = (key: string) =>
    [files.generationConfig, files.config].flatMap((file) => [file[key]].flat()).find(valid);
  const bosId = named('bos_token') ?? first('bos_token_id');
  return {
    entries,
    control: idsOf(true),
    userDefined: idsOf(false),
    merges: listOf(model.merges).map(merge),
    rules: {
      normalizer: normalizer(files.tokenizer.normalizer),
      preTokenizer: preTokenizer(files.tokenizer.pre_tokenizer),
      ignoreMerges: model.ignore_merges === true,
      addBos: false,
    },
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

function merge(value: unknown): readonly [string, string] {
  if (typeof value === 'string') return mergePair(value);
  const [left, right] = listOf(value);
  if (typeof left !== 'string' || typeof right !== 'string')
    throw new TokenizerError(`The tokenizer has the merge ${shown(value)}.`);
  return [left, right];
}

function normalizer(value: unknown): PreTokenizerRules['normalizer'] {
  const steps = flattened(value, 'normalizers');
  for (const { type } of steps)
    if (type !== 'NFC')
      throw new TokenizerError(`The tokenizer's normalizer ${shown(type)} is not supported (only NFC).`);
  return steps.length === 0 ? null : { type: 'NFC' };
}

/** The same steps in terms of patterns alone: see `splitting`. */
function preTokenizer(value: unknown): object {
  const patterns: string[] = [];
  let byteLevel = false;
  for (const step of flattened(value, 'pretokenizers')) {
    if (byteLevel) throw new TokenizerError('The tokenizer cuts text after it was turned into bytes.');
    switch (step.type) {
      case 'Split': {
        const { Regex: pattern } = objectOf(step.pattern);
        if (typeof pattern !== 'string' || step.behavior !== 'Isolated' || step.invert === true)
          throw new TokenizerError(`The tokenizer's split ${shown(step)} is not supported.`);
        patterns.push(pattern);
        break;
      }
      case 'Digits':
        patterns.push(step.individual_digits === true ? '\\p{N}' : '\\p{N}+');
        break;
      case 'ByteLevel':
        if (step.add_prefix_space === true)
          throw new TokenizerError('The tokenizer begins texts with a space, which is not supported.');
        if (step.use_regex !== false) patterns.push(GPT2_PATTERN);
        byteLevel = true;
        break;
      default:
        throw new TokenizerError(
          `The pre-tokenizer ${shown(step.type)} is not supported (only Split, Digits and ByteLevel).`,
        );
    }
  }
  if (!byteLevel) throw new TokenizerError('The tokenizer is not byte-level, which is not supported.');
  return splitting(...patterns);
}

/** The beginning-of-sequence token is put before texts by the post-processor, or by a setting of older files. */
function addsBos({ tokenizer, tokenizerConfig }: HubTokenizerFiles, bos: string): boolean {
  if (typeof tokenizerConfig.add_bos_token === 'boolean') return tokenizerConfig.add_bos_token;
  return flattened(tokenizer.post_processor, 'processors').some(
    ({ single }) => objectOf(objectOf(listOf(single)[0]).SpecialToken).id === bos,
  );
}

/** A step, or the steps of a sequence. */
function flattened(value: unknown, key: string): readonly JsonObject[] {
  if (value === null || value === undefined) return [];
  const step = objectOf(value);
  return step.type === 'Sequence' ? listOf(step[key]).flatMap((each) => flattened(each, key)) : [step];
}

/** `"<s>"` or `{"content": "<s>", …}` */
function tokenText(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value : objectOf(value).content;
  return typeof text === 'string' ? text : undefined;
}

function objectOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
