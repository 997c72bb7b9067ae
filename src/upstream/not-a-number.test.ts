import { expect, it } from 'vitest';
import { withNulls } from './not-a-number.ts';

it.each([
  ['[NaN, Infinity,-Infinity,-1]', '[null, null,null,-1]'],
  [String.raw`{"NaN":"\"NaN","a":NaN,"b":"\\"}`, String.raw`{"NaN":"\"NaN","a":null,"b":"\\"}`],
  ['{"a":NaNs}', '{"a":NaNs}'],
])('puts null in place of what is no number in %s', (text, wanted) => {
  expect(withNulls(text)).toBe(wanted);
});

it('comes to an end of a long text in which the end of a string is missing', () => {
  const text = `{"a":"${String.raw`\"NaN `.repeat(200_000)}`;
  expect(withNulls(text)).toBe(text);
});
