import type { GrammarVocabulary } from '../kernels/grammar/token-grammars.ts';

export const END = 256;

/** A token per byte, and one that ends a text. */
export const BYTE_VOCABULARY: GrammarVocabulary = {
  tokens: [...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)), new Uint8Array(0)],
  logits: 260,
  endIds: [END],
};
