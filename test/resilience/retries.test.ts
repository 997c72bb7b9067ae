import { describe, expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { spawnFake } from '../upstream/harness.ts';
import { eventually, isWhole, serveFleet, serveUpstreams } from './fleet.ts';

const many = <T>(count: number, make: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => make(i)));

describe('retries', () => {
  it('cost nothing where nobody listens: every request is answered by who is left', async () => {
    const fleet = await serveFleet([{}, {}, {}], { limits: { maxRetries: 0 } });
    // Nobody is known to be down.
    await many(6, () => fleet.ask());
    await fleet.fakes[0]?.close();
    await fleet.fakes[1]?.close();
    const answers = await many(30, () => fleet.ask());
    expect(answers.filter(isWhole)).toHaveLength(30);
    expect(fleet.model().retries).toBe(0);
    await fleet.idle();
  });

  it('wait for their turn in place of failing when many need one at once', async () => {
    const broken = { holdAfterEvents: 1, dieAfterEvents: 1 };
    const fleet = await serveFleet([broken, { ttftMs: 150 }, { ttftMs: 150 }], {
      upstream: { probe: { intervalMs: 60_000 } },
    });
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, fleet.model().retrying);
    }, 1);
    const asked = many(90, () => fleet.ask());
    await eventually('a third of them is there', () => fleet.fakes[0]!.inFlight() === 30);
    fleet.fakes[0]!.release();
    const answers = await asked;
    clearInterval(watch);
    expect(answers.filter(isWhole)).toHaveLength(90);
    expect(fleet.model().retries).toBeGreaterThan(5);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(9);
    // Open, unless it has come to try again by now.
    expect(['open', 'half-open']).toContain(fleet.backend('a').health.breaker);
    expect(await fleet.metric('qianmen_retries_total')).toBe(fleet.model().retries);
    await fleet.idle();
  });

  it('end with the limit, and never reach an upstream twice', async () => {
    const fleet = await serveFleet([{ status: 500 }, { status: 500 }, { status: 500 }, { status: 500 }]);
    const { status } = await fleet.ask();
    expect(status).toBe(502);
    expect(fleet.fakes.map((fake) => fake.requests.length).sort()).toEqual([0, 1, 1, 1]);
  });

  it('go on until the first token: a role and silence is no answer', async () => {
    const fleet = await serveFleet([{ stallAfterEvents: 1 }, {}], {
      upstreams: { a: { timeouts: { firstByteMs: 300, idleMs: 300 } } },
    });
    const answers = await many(2, () => fleet.ask());
    expect(answers.filter(isWhole)).toHaveLength(2);
    for (const { text } of answers) expect(text.match(/"role"/g)).toHaveLength(1);
    await eventually('the silent one is left', () => fleet.fakes[0]?.inFlight() === 0, 5_000);
  });

  it('are not made for what the client must mend', async () => {
    const fleet = await serveFleet([{ status: 400 }, { status: 400 }]);
    expect((await fleet.ask()).status).toBe(400);
    expect(fleet.fakes.map((fake) => fake.requests.length).sort()).toEqual([0, 1]);
    expect(fleet.backend('a').health.state).toBe('ready');
  });

  it('are not made after the first token: the client is told, without [DONE]', async () => {
    const fleet = await serveFleet([
      { dieAfterEvents: 3, itlMs: 5 },
      { dieAfterEvents: 3, itlMs: 5 },
    ]);
    const { text } = await fleet.ask();
    expect(text).toContain('word1');
    expect(text).toContain('"error"');
    expect(text).not.toContain('[DONE]');
    expect(fleet.fakes.map((fake) => fake.requests.length).sort()).toEqual([0, 1]);
    await fleet.idle();
  });

  it('are made for embeddings too', async () => {
    const fleet = await serveFleet([{}, {}]);
    await fleet.fakes[0]?.close();
    const ask = () =>
      fetch(`${fleet.url}/v1/embeddings`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'm', input: 'x' }),
      });
    // The fake knows no embeddings and says so: what matters is that everybody reaches the one that lives.
    await many(4, ask);
    expect(fleet.fakes[1]?.requests).toHaveLength(4);
    await fleet.idle();
  });
});

describe('upstreams that want to be left alone', () => {
  it('are asked last, and the soonest time of all is passed on', async () => {
    const fleet = await serveFleet([
      { status: 429, retryAfter: '30' },
      { status: 429, retryAfter: '5' },
      { status: 503, retryAfter: '11' },
    ]);
    const answer = await fleet.ask();
    expect([429, 503]).toContain(answer.status);
    expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(5);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    // All three are known to want peace now: one is asked, and nothing is retried.
    await fleet.ask();
    expect(fleet.fakes.reduce((sum, fake) => sum + fake.requests.length, 0)).toBe(4);
  });

  it.each([
    ['429', { status: 429, retryAfter: '30' }],
    ['a refused key', { status: 401 }],
  ])('get no requests while others are well (%s)', async (_, behaviour) => {
    const fleet = await serveFleet([behaviour, {}]);
    const answers = [];
    for (let i = 0; i < 10; i += 1) answers.push(await fleet.ask());
    expect(answers.filter(isWhole)).toHaveLength(10);
    expect(fleet.fakes[0]?.requests).toHaveLength(1);
    expect(fleet.backend('a').coolingMs).toBeGreaterThan(0);
    expect(fleet.backend('a').health.breaker).toBe('closed');
  });
});

describe('the only upstream', () => {
  it('is asked whatever its breaker says, and serves as soon as it has healed', async () => {
    const fleet = await serveFleet([{ status: 500 }], { upstream: { probe: { intervalMs: 60_000 } } });
    for (let i = 0; i < 8; i += 1) expect((await fleet.ask()).status).toBe(502);
    expect(fleet.backend('a').health).toMatchObject({ state: 'down', breaker: 'open' });
    fleet.fakes[0]?.setBehaviour({});
    expect(isWhole(await fleet.ask())).toBe(true);
    expect(fleet.backend('a').health).toMatchObject({ state: 'ready', breaker: 'closed' });
  });

  it('serves the first request after it came back to its port', async () => {
    const fleet = await serveFleet([{}]);
    const port = fleet.fakes[0]!.port;
    await fleet.fakes[0]?.close();
    for (let i = 0; i < 6; i += 1) expect((await fleet.ask()).status).toBe(503);
    expect(fleet.backend('a').health.state).toBe('down');
    const again = await startFakeUpstream({ port });
    onTestFinished(() => again.close());
    expect(isWhole(await fleet.ask())).toBe(true);
    await fleet.idle();
  });
});

describe('a process of a fleet', () => {
  it('is killed while many wait for their first token: all are answered by the others', async () => {
    const ttfts = [60_000, 500, 500];
    const processes = await Promise.all(ttfts.map((ttftMs) => spawnFake({ ttftMs, itlMs: 1 })));
    const fleet = await serveUpstreams(processes.map(({ url }) => url));
    const asked = many(60, () => fleet.ask());
    await eventually('all are under way', () => fleet.backend('a').inFlight >= 10);
    processes[0]?.child.kill('SIGKILL');
    expect((await asked).filter(isWhole)).toHaveLength(60);
    await fleet.idle();
  });

  it('is stopped: its requests move on after the limit, and it is left alone', async () => {
    const processes = await Promise.all([1, 2].map(() => spawnFake({})));
    const fleet = await serveUpstreams(
      processes.map(({ url }) => url),
      {
        upstreams: {
          a: { timeouts: { connectMs: 1_000, firstByteMs: 1_000 }, probe: { timeoutMs: 500 } },
        },
      },
    );
    await many(4, () => fleet.ask());
    processes[0]?.child.kill('SIGSTOP');
    const answers = await many(20, () => fleet.ask());
    expect(answers.filter(isWhole)).toHaveLength(20);
    await eventually('its breaker opens', () => fleet.backend('a').health.state === 'down', 10_000);
    const after = await many(10, () => fleet.ask());
    expect(after.filter(isWhole)).toHaveLength(10);
    processes[0]?.child.kill('SIGCONT');
    await eventually('it is back', () => fleet.backend('a').health.state === 'ready', 20_000);
    await fleet.idle();
  });
});
