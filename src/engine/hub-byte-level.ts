import { flattened, type JsonObject, mergesOf, objectOf, shown } from './hub-json.ts';
import { GPT2_PATTERN, type PreTokenizerRules, splitting } from './pre-tokenizer.ts';
import { type ByteLevelScheme, TokenizerError } from './tokenizer-description.ts';

/** Byte-level BPE as a tokenizer.json has it. Throws TokenizerError when it is of another kind. */
export function hubByteLevel(tokenizer: JsonObject): ByteLevelScheme {
  const model = objectOf(tokenizer.model);
  return {
    kind: 'byte-level',
    merges: mergesOf(model),
    rules: {
      normalizer: normalizer(tokenizer.normalizer),
      preTokenizer: preTokenizer(tokenizer.pre_tokenizer),
      ignoreMerges: model.ignore_merges === true,
      addBos: false,
    },
  };
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
