import { expect, it } from 'vitest';
import { StreamBeginning } from './stream-beginning.ts';

const TEXT = ': hello\ndata: {"a":"é"}\n\ndata: b\n\n';

it.each([
  ['lines that end in LF', TEXT, TEXT],
  ['lines that end in CR LF', TEXT.replaceAll('\n', '\r\n'), TEXT.replaceAll('\n', '\r\n')],
  ['lines that end in CR', TEXT.replaceAll('\n', '\r'), TEXT],
  ['a byte order mark', `\ufeff${TEXT}`, TEXT],
  ['a byte order mark, and lines that end in CR', `\ufeff${TEXT.replaceAll('\n', '\r')}`, TEXT],
  ['blank lines first', `\n\n${TEXT}`, `\n\n${TEXT}`],
])('makes of %s what is usual, wherever the bytes are cut', (_, sent, usual) => {
  const bytes = Buffer.from(sent);
  for (let cut = 0; cut <= bytes.length; cut += 1)
    for (const second of [cut, cut + 1, cut + 2]) {
      const beginning = new StreamBeginning();
      const pieces = [bytes.subarray(0, cut), bytes.subarray(cut, second), bytes.subarray(second)];
      const got = pieces.filter(({ length }) => length > 0).map((piece) => beginning.usual(piece));
      expect(Buffer.concat(got).toString()).toBe(usual);
    }
});

it('leaves the bytes of usual streams where they are', () => {
  const beginning = new StreamBeginning();
  const [first, second] = [Buffer.from('data: a\n'), Buffer.from('\ndata: b\r')];
  expect(beginning.usual(first)).toBe(first);
  expect(beginning.usual(second)).toBe(second);
});
