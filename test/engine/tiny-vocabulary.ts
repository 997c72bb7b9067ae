import { ggufTokenizer, type ModelMetadata } from '../../src/engine/gguf-tokenizer.ts';
import { Tokenizer } from '../../src/engine/tokenizer.ts';

/**
 * A tokenizer small enough to reason about: one token per byte (id = byte), a few merges, and ChatML control tokens.
 */
const BYTE_CHARACTERS = byteCharacters();
const MERGES = ['l l', 'h e', 'he ll', 'hell o', 'Ġ w', 'o r'];

const FIRST_CONTROL_ID = 256 + MERGES.length;
export const TINY = {
  endOfText: FIRST_CONTROL_ID,
  imStart: FIRST_CONTROL_ID + 1,
  imEnd: FIRST_CONTROL_ID + 2,
  /** User-defined: text of its own, recognised everywhere. */
  think: FIRST_CONTROL_ID + 3,
  size: FIRST_CONTROL_ID + 4,
} as const;

export const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

export function tinyMetadata(changes: Readonly<Record<string, unknown>> = {}): ModelMetadata {
  const tokens = [
    ...BYTE_CHARACTERS,
    ...MERGES.map((merge) => merge.replace(' ', '')),
    '<|endoftext|>',
    '<|im_start|>',
    '<|im_end|>',
    '<think>',
  ];
  return new Map<string, unknown>(
    Object.entries({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'smollm',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.merges': MERGES,
      'tokenizer.ggml.token_type': tokens.map((_, id) =>
        id < FIRST_CONTROL_ID ? 1 : id === TINY.think ? 4 : 3,
      ),
      'tokenizer.ggml.eos_token_id': TINY.imEnd,
      'tokenizer.chat_template': CHATML,
      ...changes,
    }).filter(([, value]) => value !== undefined),
  );
}

export function tinyTokenizer(changes: Readonly<Record<string, unknown>> = {}): Tokenizer {
  return new Tokenizer(ggufTokenizer(tinyMetadata(changes)));
}

function byteCharacters(): string[] {
  let shifted = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    return String.fromCodePoint(printable ? byte : 0x100 + shifted++);
  });
}
