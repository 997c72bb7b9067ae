import { expect, it, onTestFinished } from 'vitest';
import { parseRetryAfter } from './retry-after.ts';

const nowMs = Date.UTC(2026, 0, 1, 12, 0, 0);
const parse = (retryAfter?: string, retryAfterMs?: string) =>
  parseRetryAfter({ retryAfter, retryAfterMs }, nowMs);

it.each([
  ['2', 2_000],
  ['0', 0],
  ['1.5', 1_500],
  [' 3 ', 3_000],
  ['86400', 60_000],
  ['99999999999999999999999999', 60_000],
  ['Thu, 01 Jan 2026 12:00:07 GMT', 7_000],
  ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
  ['Thursday, 01-Jan-26 12:00:05 GMT', 5_000],
  ['Fri, 02 Jan 2026 12:00:00 GMT', 60_000],
  ['-5', undefined],
  ['soon', undefined],
  ['', undefined],
  ['NaN', undefined],
  ['Infinity', undefined],
  ['0x10', undefined],
  ['1e9', undefined],
  ['foo 1', undefined],
  ['Thu, 99 Foo 2026 99:99:99 GMT', undefined],
  [undefined, undefined],
])('Retry-After %j gives %j ms', (text, wanted) => {
  expect(parse(text)).toBe(wanted);
});

it.each(['UTC', 'Asia/Shanghai', 'America/New_York'])(
  'takes dates for what they are in GMT, also without a zone, where it is run in %s',
  (zone) => {
    const before = process.env.TZ;
    onTestFinished(() => {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    });
    process.env.TZ = zone;
    expect(parse('Thu Jan  1 12:00:07 2026')).toBe(7_000);
    expect(parse('Thu, 01 Jan 2026 12:00:07')).toBe(7_000);
    expect(parse('Thu, 01 Jan 2026 12:00:07 GMT')).toBe(7_000);
    expect(parse('Thu, 01 Jan 2026 20:00:07 +0800')).toBe(7_000);
  },
);

it('prefers retry-after-ms, unless that is garbage', () => {
  expect(parse('2', '250')).toBe(250);
  expect(parse('2', 'x')).toBe(2_000);
});
