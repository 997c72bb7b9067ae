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

it('comes to an end of a long text in which the end of a string is missing', () => {
  const text = `{"a":"${String.raw`\"NaN `.repeat(200_000)}`;
  expect(withNulls(text)).toBe(text);
});
