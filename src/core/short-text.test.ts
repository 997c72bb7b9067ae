import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shortText } from './short-text.ts';

describe('a short text', () => {
  it('is what its bytes say, whatever was read before it', () => {
    // Few letters, so that many share a place.
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '\\', 'é', '"'), maxLength: 20 });
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 50 }), (texts) => {
        const bytes = Buffer.from(texts.join(''));
        let start = 0;
        for (const expected of texts) {
          const end = start + Buffer.byteLength(expected);
          expect(shortText(bytes, start, end)).toMatchObject({
            text: expected,
            hasBackslash: expected.includes('\\'),
          });
          start = end;
        }
      }),
    );
  });

  it('stays when the memory that it was read from is used for others', () => {
    const bytes = Buffer.from('usage');
    const { text } = shortText(bytes, 0, 5);
    bytes.write('model');
    expect(shortText(bytes, 0, 5).text).toBe('model');
    expect(text).toBe('usage');
  });
});
