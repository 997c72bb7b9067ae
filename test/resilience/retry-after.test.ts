import { describe, expect, it } from 'vitest';
import { slowTime } from '../support/slow-time.ts';
import { isWhole, serveFleet } from './fleet.ts';

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toUTCString();

/** The header, and for how long the upstream is left alone because of it: at least and at most, in seconds. */
const FORMS: [name: string, header: () => string, leastS: number, mostS: number][] = [
  ['seconds', () => '30', 28, 30],
  ['seconds with spaces', () => '  30  ', 28, 30],
  ['a fraction', () => '2.5', 1, 3],
  ['far too many seconds', () => '86400', 55, 60],
  ['more digits than a number has', () => '9'.repeat(400), 55, 60],
  ['a date', () => inSeconds(30), 27, 30],
  ['a date far away', () => 'Fri, 31 Dec 2199 23:59:59 GMT', 55, 60],
  ['a date in the old style', () => 'Friday, 31-Dec-99 23:59:59 GMT', 0, 60],
];

/** As if it had said 429 and nothing else. */
const NONSENSE: [name: string, header: string][] = [
  ['a word', 'soon'],
  ['nothing', ''],
  ['a negative number', '-5'],
  ['infinity', 'Infinity'],
  ['an exponent', '1e9'],
  ['hexadecimal', '0x10'],
  ['a number and a unit', '30s'],
  ['a list', '10, 20'],
  ['a date that is none', 'Mon, 99 Foo 2026 25:61:61 GMT'],
];

describe.each([429, 503])('Retry-After with %d', (status) => {
  it.each(FORMS)('as %s is honoured, up to a minute', async (_, header, leastS, mostS) => {
    slowTime();
    const fleet = await serveFleet([{ status, retryAfter: header() }, {}]);
    while (fleet.fakes[0]?.requests.length === 0) expect(isWhole(await fleet.ask())).toBe(true);
    const coolingS = fleet.backend('a').coolingMs / 1_000;
    expect(coolingS).toBeGreaterThanOrEqual(leastS);
    expect(coolingS).toBeLessThanOrEqual(mostS);
    if (leastS > 0) {
      for (let i = 0; i < 6; i += 1) expect(isWhole(await fleet.ask())).toBe(true);
      expect(fleet.fakes[0]?.requests).toHaveLength(1);
    }
    expect(fleet.backend('a').health.breaker).toBe('closed');
    await fleet.idle();
  });
});

it.each(NONSENSE)('Retry-After as %s is no word at all: a second of peace after 429', async (_, header) => {
  slowTime();
  const fleet = await serveFleet([{ status: 429, retryAfter: header }, {}]);
  while (fleet.fakes[0]?.requests.length === 0) expect(isWhole(await fleet.ask())).toBe(true);
  expect(fleet.backend('a').coolingMs).toBeGreaterThan(0);
  expect(fleet.backend('a').coolingMs).toBeLessThanOrEqual(1_000);
});

it.each([0, -60])('Retry-After that is over (%d s) leaves nobody waiting', async (seconds) => {
  const header = seconds === 0 ? '0' : inSeconds(seconds);
  const fleet = await serveFleet([{ status: 429, retryAfter: header, failFirst: 1 }]);
  expect((await fleet.ask()).status).toBe(429);
  expect(fleet.backend('a').coolingMs).toBe(0);
  expect(isWhole(await fleet.ask())).toBe(true);
});

it('a fleet that wants peace as a whole is not stormed: each is asked once, and clients are told when to come back', async () => {
  const fleet = await serveFleet([
    { status: 429, retryAfter: '40' },
    { status: 503, retryAfter: '86400' },
    { status: 401 },
  ]);
  const first = await fleet.ask();
  expect(first.status).toBeGreaterThanOrEqual(429);
  const asked = fleet.fakes.reduce((sum, { requests }) => sum + requests.length, 0);
  expect(asked).toBe(3);
  const answers = await Promise.all(Array.from({ length: 20 }, () => fleet.ask()));
  for (const { headers } of [first, ...answers]) {
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(40);
  }
  // Trying one beats refusing, but nothing is retried.
  expect(fleet.fakes.reduce((sum, { requests }) => sum + requests.length, 0)).toBe(asked + 20);
  expect(fleet.model().retries).toBe(2);
  await fleet.idle();
});
