import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHead } from './response-head.ts';
import { ResponseHeads } from './response-heads.ts';

const head = (lines: readonly string[]) => lines.join('\r\n');

describe('the heads of the responses on one connection', () => {
  it('are read as each would by itself, whatever came before', () => {
    const length = fc.oneof(
      fc.constantFrom('5', '05', '0', '', '5, 5', '-1', '5\xa0', '12', '9'.repeat(16)),
      fc.nat().map(String),
    );
    const status = fc.constantFrom(
      'HTTP/1.1 200 OK',
      'HTTP/1.1 204 None',
      'HTTP/1.0 200 OK',
      'HTTP/1.1 429 No',
    );
    const lines = fc
      .tuple(status, length)
      .chain(([first, digits]) =>
        fc.constantFrom<readonly string[]>(
          [first],
          [first, `content-length: ${digits}`],
          [first, 'content-type: a/b', `Content-Length:${digits} `],
          [first, 'content-type: a/b', `content-length: ${digits}`, 'date: 1'],
          [first, 'content-type: a/b', `content-length: ${digits}`, 'date: 2'],
          [first, `content-length: ${digits}`, 'content-length: 5'],
          [first, `content-length: ${digits}`, 'transfer-encoding: chunked'],
          [first, 'transfer-encoding: chunked'],
          [first, 'transfer-encoding: chunked', 'connection: close'],
          [first, `x-content-length: 7`, `content-length: ${digits}`],
        ),
      );
    fc.assert(
      fc.property(fc.array(lines, { minLength: 1, maxLength: 20 }), (sequence) => {
        const heads = new ResponseHeads();
        for (const one of sequence) expect(heads.read(head(one))).toEqual(parseHead(head(one)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('are no repetition where a length is said twice', () => {
    const heads = new ResponseHeads();
    const twice = (length: number) =>
      head(['HTTP/1.1 200 OK', `content-length: ${length}`, 'content-length: 5']);
    expect(heads.read(twice(5))).toMatchObject({ framing: 5 });
    expect(heads.read(twice(7))).toBe('a broken content-length');
  });

  it('keep what they share when only the length differs', () => {
    const heads = new ResponseHeads();
    const read = (length: number) =>
      heads.read(head(['HTTP/1.1 200 OK', `content-length: ${length}`, 'a: 1']));
    const [first, second] = [read(5), read(1_234)];
    expect(second).toMatchObject({ framing: 1_234, headers: expect.any(Map) });
    expect(typeof first === 'object' && typeof second === 'object' && first.headers === second.headers).toBe(
      true,
    );
  });
});
