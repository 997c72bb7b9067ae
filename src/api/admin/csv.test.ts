import { expect, it } from 'vitest';
import { usdText } from '../usd.ts';
import { csv } from './csv.ts';

it('quotes what would break a row, and disarms formulas', () => {
  expect(csv([['a,b', 'say "hi"', 'x\ny', 5, -1, '=1+1', '@x', 'plain']])).toBe(
    `"a,b","say ""hi""","x\ny",5,-1,'=1+1,'@x,plain\r\n`,
  );
});

it('writes nano-dollars as exact dollars', () => {
  const texts = [
    0,
    1,
    1_000_000_000,
    1_500_000_000,
    12_000_000_010,
    100_000_000_000,
    Number.MAX_SAFE_INTEGER,
  ];
  expect(texts.map(usdText)).toEqual([
    ...['0', '0.000000001', '1', '1.5', '12.00000001', '100', '9007199.254740991'],
  ]);
});
