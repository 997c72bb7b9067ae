import { expect, it } from 'vitest';
import { LineEnds } from './line-ends.ts';

const TEXT = ': hello\ndata: {"a":"é"}\n\ndata: b\n\n';

function pushed(pieces: readonly Buffer[]): string {
  const ends = new LineEnds();
  return Buffer.concat(pieces.map((piece) => ends.push(piece))).toString();
}

it.each([
  ['in LF', TEXT],
  ['in CR LF', TEXT.replaceAll('\n', '\r\n')],
  ['in CR', TEXT.replaceAll('\n', '\r')],
  ['in LF, then in CR', `${TEXT}${TEXT.replaceAll('\n', '\r')}`],
  ['in CR, then in CR LF', `${TEXT.replaceAll('\n', '\r')}${TEXT.replaceAll('\n', '\r\n')}`],
  ['in CR LF, then in CR', `${TEXT.replaceAll('\n', '\r\n')}${TEXT.replaceAll('\n', '\r')}`],
  ['in one or the other', ': hello\rdata: {"a":"é"}\r\n\rdata: b\n\r\n'],
])('leaves lines that end %s where they end, and none in CR alone, wherever the bytes are cut', (_, sent) => {
  const bytes = Buffer.from(sent);
  const lines = sent.split(/\r\n|\n|\r/);
  for (let cut = 0; cut <= bytes.length; cut += 1)
    for (const second of [cut, cut + 1, cut + 2]) {
      const usual = pushed([bytes.subarray(0, cut), bytes.subarray(cut, second), bytes.subarray(second)]);
      // The last of them may still turn out to be half of CR LF.
      expect(usual.replace(/\r$/, '\n').split(/\r?\n/)).toEqual(lines);
    }
});

it('tells where an event ends without waiting for the next one, once lines have ended in CR', () => {
  expect(pushed([Buffer.from('data: a\r\r')])).toBe('data: a\n\n');
});

it('leaves the bytes of usual streams where they are', () => {
  const ends = new LineEnds();
  for (const text of ['data: a\n', '\ndata: b\r', '\n\r\n', 'data: c\r\n\r\n']) {
    const bytes = Buffer.from(text);
    expect(ends.push(bytes)).toBe(bytes);
  }
  expect(ends.areUsual).toBe(true);
});
