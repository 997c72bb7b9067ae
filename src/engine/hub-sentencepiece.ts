import { flattened, type JsonObject, mergesOf, objectOf, shown } from './hub-json.ts';
import { SPACE_MARK } from './sentencepiece-encoder.ts';
import {
  byteOfEntry,
  type LeadingSpace,
  type SentencePieceScheme,
  TokenizerError,
} from './tokenizer-description.ts';

/**
 * SentencePiece's BPE as converters write it into a tokenizer.json: byte fallback, and spaces turned into `▁` by a normalizer (Llama 2,
 * Gemma) or by a pre-tokenizer (Mistral). `entries`: tokens by id. Throws TokenizerError when it is of another kind.
 */
export function hubSentencePiece(tokenizer: JsonObject, entries: readonly string[]): SentencePieceScheme {
  const model = objectOf(tokenizer.model);
  if (model.ignore_merges === true)
    throw new TokenizerError("The tokenizer's ignore_merges is not supported.");
  const byteIds: (number | undefined)[] = new Array(256).fill(undefined);
  for (const [id, entry] of entries.entries()) {
    const byte = byteOfEntry(entry);
    if (byte !== undefined) byteIds[byte] = id;
  }
  const unknownId = entries.indexOf(String(model.unk_token));
  return {
    kind: 'sentencepiece',
    precedence: { by: 'merge', merges: mergesOf(model) },
    byteIds,
    unknownId: unknownId < 0 ? undefined : unknownId,
    leadingSpace: leadingSpace(tokenizer),
  };
}

/** The steps before merging. All others are refused: they would change the text in a way that is not known here. */
function leadingSpace(tokenizer: JsonObject): LeadingSpace {
  let leading: LeadingSpace = { of: 'none', doubled: true };
  let spacesMarked = false;
  for (const step of flattened(tokenizer.normalizer, 'normalizers')) {
    if (step.type === 'Prepend' && step.prepend === SPACE_MARK && !spacesMarked)
      leading = { of: 'all', doubled: true };
    else if (step.type === 'Replace' && isSpace(step.pattern) && step.content === SPACE_MARK)
      spacesMarked = true;
    else
      throw new TokenizerError(
        `The tokenizer's normalizer ${shown(step)} is not supported beside byte fallback.`,
      );
  }
  for (const step of flattened(tokenizer.pre_tokenizer, 'pretokenizers')) {
    if (
      step.type === 'Metaspace' &&
      step.replacement === SPACE_MARK &&
      step.split === false &&
      !spacesMarked
    ) {
      leading = metaspace(step);
      spacesMarked = true;
    }
    // Where spaces are marks already, it finds none.
    else if (!(step.type === 'Split' && isSpace(step.pattern) && spacesMarked))
      throw new TokenizerError(`The pre-tokenizer ${shown(step)} is not supported beside byte fallback.`);
  }
  if (!spacesMarked)
    throw new TokenizerError(`The tokenizer does not write spaces as ${SPACE_MARK}, which is not supported.`);
  return leading;
}

const SCHEMES = { always: 'all', first: 'first', never: 'none' } as const;

function metaspace({ prepend_scheme: scheme = 'always' }: JsonObject): LeadingSpace {
  if (typeof scheme !== 'string' || !Object.hasOwn(SCHEMES, scheme))
    throw new TokenizerError(`The pre-tokenizer's prepend_scheme ${shown(scheme)} is not supported.`);
  return { of: SCHEMES[scheme as keyof typeof SCHEMES], doubled: false };
}

const isSpace = (pattern: unknown) => objectOf(pattern).String === ' ';
