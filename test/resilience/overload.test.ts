import { describe, expect, it } from 'vitest';
import { parseChatRequest } from '../../src/api/openai/chat-request.ts';
import { chatBody } from '../support/gateway-process.ts';
import { slowTime } from '../support/slow-time.ts';
import { eventually, isWhole, serveFleet } from './fleet.ts';

describe('an upstream that has ceased to answer', () => {
  it('is sent fewer whole replies before any of them has come back, and all again once it answers', async () => {
    const fleet = await serveFleet([{ ttftMs: 5 }], { upstream: { concurrency: { initial: 64, max: 64 } } });
    const ask = (signal?: AbortSignal) => fleet.ask({ stream: false, ...(signal && { signal }) });
    const pass = slowTime();
    for (let i = 0; i < 30; i += 1) await ask();
    fleet.fakes[0]!.setBehaviour({ ttftMs: 60_000 });
    const leaving = new AbortController();
    const limit = () => fleet.backend('a').limit;
    const held = Array.from({ length: 40 }, () => ask(leaving.signal).catch(() => undefined));
    await eventually('they are inside', () => fleet.backend('a').inFlight === 40);
    expect(limit()).toBe(64);
    await eventually('it is noticed', () => {
      pass(100);
      held.push(ask(leaving.signal).catch(() => undefined));
      return limit() === 32;
    });
    const { inFlight } = fleet.backend('a');
    held.push(ask(leaving.signal).catch(() => undefined));
    await eventually('one waits', () => fleet.model().queued > 0);
    expect(fleet.backend('a').inFlight).toBe(inFlight);
    leaving.abort();
    await Promise.all(held);
    await fleet.idle();
    fleet.fakes[0]!.setBehaviour({ ttftMs: 5 });
    await eventually('it has recovered', async () => {
      await Promise.all(Array.from({ length: 64 }, () => ask()));
      pass(500);
      return limit() === 64;
    });
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
    const fleet = await serveFleet([{ ttftMs: 100 }], { ...full, limits: {} });
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
    expect(fleet.model().rejected).toEqual({ full: 0, timeout: 1, share: 0 });
    // It waited as long as anybody may, and that is no wait that nobody hears of.
    expect(await fleet.metric('qianmen_queue_wait_seconds_count')).toBe(1);
    expect(await fleet.metric('qianmen_queue_wait_seconds_sum')).toBeGreaterThanOrEqual(0.3);
    leaving.abort();
    await Promise.all(held);
    await fleet.idle();
  });

  it('turns away whoever finds the line full before it does anything else', async () => {
    const fleet = await serveFleet([{ ttftMs: 5_000 }], { ...full, limits: { queueLength: 1 } });
    const leaving = new AbortController();
    const held = [1, 2, 3].map(() => fleet.ask({ signal: leaving.signal }).catch(() => undefined));
    await eventually('one waits', () => fleet.model().queued === 1);
    let refused: unknown;
    const body = chatBody('m', { stream: true });
    const wire = { dialect: 'openai', path: '/chat/completions', body: Buffer.from(body) } as const;
    const request = parseChatRequest(JSON.parse(body), wire, 'req_1', {});
    void fleet.running.gateway
      .handle(request, leaving.signal, async () => {})
      .catch((error: unknown) => {
        refused = error;
      });
    // Not a turn of the event loop later: neither time nor the network was waited for.
    for (let i = 0; i < 50; i += 1) await Promise.resolve();
    expect(refused).toMatchObject({ code: 'overloaded', retryAfterMs: expect.any(Number) });
    expect(await fleet.metric('qianmen_queue_wait_seconds_count')).toBe(0);
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
    await eventually('nobody waits', () => fleet.model().queued === 0, 5_000);
    await fleet.idle();
    expect(await fleet.metric('qianmen_queue_wait_seconds_count')).toBe(3);
    expect(fleet.fakes[0]?.requests).toHaveLength(2);
  });
});
