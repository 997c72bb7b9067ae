import { expect, test } from 'vitest';
import { SpecialTokens } from './special-tokens.ts';

const token = (id: number, text: string, strips: 'left' | 'right' | 'none' = 'none') => ({
  id,
  text,
  stripsLeft: strips === 'left',
  stripsRight: strips === 'right',
});

test('the longest of those that begin at one place is meant', () => {
  const tokens = new SpecialTokens([token(1, '<a>'), token(2, '<a><b>'), token(3, '')]);
  expect(tokens.split('x<a><b><a>y')).toEqual(['x', 2, 1, 'y']);
});

test('white space belongs to the tokens that ask for it', () => {
  const tokens = new SpecialTokens([token(1, '<l>', 'left'), token(2, '<r>', 'right'), token(3, '<n>')]);
  expect(tokens.split(' a \u3000<l> b')).toEqual([' a', 1, ' b']);
  expect(tokens.split('a <r>\n\u2028 b ')).toEqual(['a ', 2, 'b ']);
  expect(tokens.split('a <n> <r> <l>  ')).toEqual(['a ', 3, ' ', 2, 1, '  ']);
});

test('a byte order mark is no white space', () => {
  expect(new SpecialTokens([token(2, '<r>', 'right')]).split('<r> \uFEFF')).toEqual([2, '\uFEFF']);
});

test('a token within the white space of the one before is part of that', () => {
  const tokens = new SpecialTokens([token(1, '\n\n'), token(2, '<r>', 'right')]);
  expect(tokens.split('\n\n<r>\n\n\n\nx')).toEqual([1, 2, 'x']);
});
