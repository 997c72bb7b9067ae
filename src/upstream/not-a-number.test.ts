import { expect, it } from 'vitest';
import { withNulls } from './not-a-number.ts';

it.each([
  ['[NaN, Infinity,-Infinity,-1]', '[null, null,null,-1]'],
  [String.raw`{"NaN":"\"NaN","a":NaN,"b":"\\"}`, String.raw`{"NaN":"\"NaN","a":null,"b":"\\"}`],
  ['{"a":NaNs}', '{"a":NaNs}'],
])('puts null in place of what is no number in %s', (text, wanted) => {
  expect(withNulls(text)).toBe(wanted);
});

it('takes time in proportion to the text, also where the end of a string is missing', () => {
  const text = `{"a":"${String.raw`\"NaN `.repeat(200_000)}`;
  const startedAtMs = performance.now();
  expect(withNulls(text)).toBe(text);
  expect(performance.now() - startedAtMs).toBeLessThan(2_000);
});
