import { describe, expect, it } from 'vitest';
import { type Answer, eventually, isWhole, type ServedFleet, serveFleet } from './fleet.ts';

/** Eight places, a reply takes 220 ms: 36 requests a second at the most. */
const BOUNDED = { capacity: 8, ttftMs: 80, itlMs: 20, tokens: 7 };
/** A reply that takes so many times longer than one of an upstream at its peak is worth nothing. */
const PATIENCE = 7;

/** Clients who ask again as soon as they are answered, for so long. */
async function load(fleet: ServedFleet, clients: number, forMs: number) {
  const answers: Answer[] = [];
  const until = performance.now() + forMs;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < until) {
        const answer = await fleet.ask();
        answers.push(answer);
        // Whoever is turned away does as he is told, more or less.
        if (answer.status !== 200) await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }),
  );
  return answers;
}

function rate(answers: readonly Answer[], forMs: number, patienceMs: number): number {
  return (answers.filter((a) => isWhole(a) && a.durationMs < patienceMs).length / forMs) * 1_000;
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

// What else the machine does shows in the figures.
describe('five times more than an upstream can do', { retry: 2 }, () => {
  it('leaves its goodput at the peak, turns the rest away at once, and is forgotten at once', async () => {
    const fleet = await serveFleet([BOUNDED], {
      upstream: { concurrency: { initial: 16, max: 512 } },
      limits: { queueLength: 12 },
    });
    await load(fleet, 8, 1_000);
    const atPeak = await load(fleet, 8, 3_000);
    const patienceMs = PATIENCE * median(atPeak.map(({ durationMs }) => durationMs));
    const peak = rate(atPeak, 3_000, patienceMs);

    const before = process.memoryUsage().rss;
    let longest = 0;
    const watch = setInterval(() => {
      longest = Math.max(longest, fleet.model().queued);
    }, 5);
    const answers = await load(fleet, 80, 4_000);
    clearInterval(watch);
    const grown = (process.memoryUsage().rss - before) / 1e6;
    const goodput = rate(answers, 4_000, patienceMs);
    const refused = answers.filter((a) => a.status === 503);

    expect(answers.filter((a) => !isWhole(a) && a.status !== 503)).toEqual([]);
    // What holds on any machine: without the limit and the bounded queue it is below a third. The goal, nine tenths, is for a benchmark.
    expect(goodput / peak).toBeGreaterThan(0.5);
    expect(refused.length).toBeGreaterThan(50);
    const refusedMs = median(refused.map(({ headers }) => Number(headers.get('openai-processing-ms'))));
    expect(refusedMs).toBeLessThan(100);
    for (const { headers } of refused) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(longest).toBeLessThanOrEqual(12);
    expect(grown).toBeLessThan(150);
    expect(fleet.model().rejected.full).toBe(refused.length);

    await fleet.idle();
    const after = await fleet.ask();
    expect(isWhole(after)).toBe(true);
    expect(await fleet.metric('qianmen_queue_length')).toBe(0);
    console.info(
      `peak ${peak.toFixed(0)}/s, goodput at five times ${goodput.toFixed(0)}/s, ` +
        `${refused.length} turned away in ${refusedMs} ms, ` +
        `limit ${fleet.backend('a').limit}, +${grown.toFixed(0)} MB, then ${after.durationMs.toFixed(0)} ms`,
    );
  });
});

describe('an upstream without room', () => {
  const full = { upstream: { concurrency: { initial: 2, max: 2 } }, limits: { queueTimeoutMs: 300 } };

  it('sends what is beyond to another one', async () => {
    const fleet = await serveFleet([{ ttftMs: 200 }, { ttftMs: 200 }], full);
    const answers = await Promise.all(Array.from({ length: 4 }, () => fleet.ask()));
    expect(answers.filter(isWhole)).toHaveLength(4);
    expect(fleet.fakes.map((fake) => fake.requests.length)).toEqual([2, 2]);
  });

  it('has requests wait in line, and go when it has room', async () => {
    const fleet = await serveFleet([{ ttftMs: 100 }], full);
    const answers = await Promise.all(Array.from({ length: 4 }, () => fleet.ask()));
    expect(answers.filter(isWhole)).toHaveLength(4);
    expect(await fleet.metric('qianmen_queue_wait_seconds_count')).toBe(2);
    await fleet.idle();
  });

  it('keeps nobody for longer than the limit', async () => {
    const fleet = await serveFleet([{ ttftMs: 5_000 }], full);
    const leaving = new AbortController();
    const held = [1, 2].map(() => fleet.ask({ signal: leaving.signal }).catch(() => undefined));
    await eventually('it is full', () => fleet.backend('a').inFlight === 2);
    const late = await fleet.ask();
    expect(late.status).toBe(503);
    expect(late.text).toContain('"overloaded"');
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(fleet.model().rejected).toEqual({ full: 0, timeout: 1 });
    leaving.abort();
    await Promise.all(held);
    await fleet.idle();
  });

  it('forgets at once whoever leaves the line', async () => {
    const fleet = await serveFleet([{ ttftMs: 5_000 }], { ...full, limits: {} });
    const leaving = new AbortController();
    const all = Array.from({ length: 5 }, () => fleet.ask({ signal: leaving.signal }).catch(() => undefined));
    await eventually('three wait', () => fleet.model().queued === 3);
    leaving.abort();
    await Promise.all(all);
    await eventually('nobody waits', () => fleet.model().queued === 0, 1_000);
    await fleet.idle();
    expect(fleet.fakes[0]?.requests).toHaveLength(2);
  });
});
