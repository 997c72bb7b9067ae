import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NumberFilter, withNulls } from './not-a-number.ts';

it.each([
  ['[NaN, Infinity,-Infinity,-1]', '[null, null,null,-1]'],
  [String.raw`{"NaN":"\"NaN","a":NaN,"b":"\\"}`, String.raw`{"NaN":"\"NaN","a":null,"b":"\\"}`],
  ['{"a":NaNs}', '{"a":NaNs}'],
])('puts null in place of what is no number in %s', (text, wanted) => {
  expect(withNulls(text)).toBe(wanted);
});

it('is replaced wherever the bytes are cut, and nothing else is', () => {
  const texts = [
    ['[NaN, Infinity,-Infinity,-1,-', '[null, null,null,-1,'],
    [
      String.raw`{"NaN":"\"NaN-","-I":-Infinity,"b":"\\","c":NaN}`,
      String.raw`{"NaN":"\"NaN-","-I":null,"b":"\\","c":null}`,
    ],
    ['{"a":[1.5,-2e-3,true],"ü":"-"}', '{"a":[1.5,-2e-3,true],"ü":"-"}'],
  ] as const;
  for (const [text, wanted] of texts) {
    const bytes = Buffer.from(text);
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 1) {
        const filter = new NumberFilter();
        const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(Buffer.concat(pieces.map((piece) => filter.push(piece))).toString()).toBe(wanted);
      }
    }
  }
  const usual = Buffer.from('{"a":1}');
  expect(new NumberFilter().push(usual)).toBe(usual);
});

it('reads long runs of numbers and long strings as it reads short ones', () => {
  const plain = fc.string({ unit: fc.constantFrom('0.25,', '-1,', ' '.repeat(9)), maxLength: 300 });
  const word = fc.constantFrom('NaN', 'Infinity', '-Infinity');
  const string = fc.string({ unit: fc.constantFrom('a', '\\', '"', 'NaN', '-', 'é'), maxLength: 200 });
  const part = fc.oneof(
    plain,
    word,
    string.map((text) => JSON.stringify(text)),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), fc.integer({ min: 1, max: 300 }), (parts, pieceBytes) => {
      const bytes = Buffer.from(`[${parts.join(',')}]`);
      const filter = new NumberFilter();
      let text = '';
      for (let at = 0; at < bytes.length; at += pieceBytes)
        text += filter.push(bytes.subarray(at, at + pieceBytes)).toString('latin1');
      expect(Buffer.from(text, 'latin1').toString()).toBe(withNulls(bytes.toString()));
    }),
  );
});

it('comes to an end of a long text in which the end of a string is missing', () => {
  const text = `{"a":"${String.raw`\"NaN `.repeat(200_000)}`;
  expect(withNulls(text)).toBe(text);
});
