import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRegex } from './regex.ts';
import { isFoundIn } from './regex-search.ts';

const { pattern } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
  pattern: fc
    .array(fc.array(tie('piece'), { maxLength: 3 }), { minLength: 1, maxLength: 2 })
    .map((choice) => choice.map((pieces) => pieces.join('')).join('|')),
  piece: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', '.', '[^a]', '^', '$', 'a?', '[ab]+', '\\w{2}'),
    fc
      .tuple(tie('pattern'), fc.constantFrom('', '*', '+', '?', '{2}', '{1,2}', '{2,}'))
      .map(([inner, times]) => `(${inner})${times}`),
  ),
}));
const texts = fc.string({ unit: fc.constantFrom('a', 'b', '😀', '\n'), maxLength: 8 });

test('what is found is what the language finds', () => {
  fc.assert(
    fc.property(pattern, texts, (source, text) => {
      expect(isFoundIn([...text], parseRegex(source), () => {})).toBe(new RegExp(source, 'u').test(text));
    }),
    { numRuns: 1_000 },
  );
});
