import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeadReader } from './head-reader.ts';
import { plainHead } from './plain-head.ts';

const head = (lines: readonly string[]) => ['POST /v1/chat/completions HTTP/1.1', ...lines].join('\r\n');

describe('the heads of one connection', () => {
  it('read as each would by itself, whatever came before', () => {
    const length = fc.oneof(
      fc.constantFrom('5', '05', '0', '', '5 5', '+5', '5\xa0', '-1', '12', '1234', '9'.repeat(16)),
      fc.nat().map(String),
    );
    const lines = fc
      .tuple(length, fc.constantFrom('', ' ', '\t '), fc.constantFrom('', ' '))
      .chain(([digits, before, after]) =>
        fc.constantFrom<readonly string[]>(
          ['host: a', `content-length:${before}${digits}${after}`],
          [`Content-Length:${before}${digits}${after}`, 'Host: a'],
          ['host: a', `content-length:${before}${digits}${after}`, 'connection: close'],
          ['host: a', `content-length:${before}${digits}${after}`, 'authorization: Bearer 1'],
          ['host: a', `content-length:${before}${digits}${after}`, 'authorization: Bearer 2'],
          ['host: a', `content-length:${before}${digits}${after}`, 'content-length: 5'],
          ['host: a', `content-length:${before}${digits}${after}`, 'transfer-encoding: chunked'],
          ['host: a', `x-content-length: 7`, `content-length:${before}${digits}${after}`],
        ),
      );
    fc.assert(
      fc.property(fc.array(lines, { minLength: 1, maxLength: 20 }), (sequence) => {
        const reader = new HeadReader();
        for (const one of sequence) expect(reader.read(head(one))).toEqual(plainHead(head(one)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('keep what they share when only the length differs', () => {
    const reader = new HeadReader();
    const first = reader.read(head(['host: a', 'content-length: 5', 'x-a: 1']));
    const second = reader.read(head(['host: a', 'content-length: 1234', 'x-a: 1']));
    expect(second?.headers).toBe(first?.headers);
    expect(second?.bodyBytes).toBe(1_234);
  });
});
