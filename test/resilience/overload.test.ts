import { describe, expect, it, onTestFinished } from 'vitest';
import { parseChatRequest } from '../../src/api/openai/chat-request.ts';
import type { GatewayReport } from '../../src/core/report.ts';
import {
  chatBody,
  metric,
  postChat,
  residentBytes,
  startGatewayProcess,
} from '../support/gateway-process.ts';
import { spawnFake } from '../upstream/harness.ts';
import { eventually, isWhole, serveFleet } from './fleet.ts';

/** Eight places, a reply takes some 240 ms: 33 requests a second at the most. */
const BOUNDED = { capacity: 8, ttftMs: 80, itlMs: 20, tokens: 7 };
/** A reply that takes so many times longer than one of an upstream at its peak is worth nothing. */
const PATIENCE = 7;
/** Until the first replies are there, and the limit has been found. */
const RAMP_MS = 500;

interface Reply {
  readonly status: number;
  readonly whole: boolean;
  readonly retryAfterS: number;
  readonly durationMs: number;
  /** Inside the gateway. */
  readonly processingMs: number;
  readonly doneAtMs: number;
}

/** Clients that ask again as soon as they are answered; whoever is turned away comes again after half a second. */
async function load(url: string, stream: boolean, clients: number, forMs: number): Promise<Reply[]> {
  const replies: Reply[] = [];
  const beganAtMs = performance.now();
  const client = async () => {
    while (performance.now() - beganAtMs < RAMP_MS + forMs) {
      const askedAtMs = performance.now();
      const reply = await postChat(url, chatBody('m', { stream }));
      const text = await reply.text();
      const { status, headers } = reply;
      const doneAtMs = performance.now() - beganAtMs;
      replies.push({
        status,
        whole: stream ? isWhole({ status, text }) : status === 200,
        retryAfterS: Number(headers.get('retry-after')),
        processingMs: Number(headers.get('openai-processing-ms')),
        durationMs: performance.now() - askedAtMs,
        doneAtMs,
      });
      if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return replies;
}

/** Good replies per second, between the ramp and the end. */
function goodput(replies: readonly Reply[], forMs: number, patienceMs: number): number {
  const good = replies.filter(
    ({ whole, durationMs, doneAtMs }) =>
      whole && durationMs < patienceMs && doneAtMs >= RAMP_MS && doneAtMs < RAMP_MS + forMs,
  );
  return (good.length / forMs) * 1_000;
}

const quantile = (values: number[], q: number) =>
  values.sort((a, b) => a - b)[Math.floor(values.length * q)] ?? Number.NaN;

async function modelOf(url: string) {
  const report = (await (await fetch(`${url}/admin/upstreams`)).json()) as GatewayReport;
  return report.models[0]!;
}

// A process that gets no processor for a second shows in the figures.
describe('five times and more than an upstream can do', { retry: 2 }, () => {
  it.each([
    ['streams', true],
    ['whole replies', false],
  ])(
    'leaves its goodput at the peak, turns the rest away at once, and is forgotten at once (%s)',
    async (_, stream) => {
      const fake = await spawnFake(BOUNDED);
      const gateway = await startGatewayProcess({
        upstreams: [{ name: 'a', url: fake.url, concurrency: { initial: 16, max: 512 } }],
        models: [{ name: 'm', deployments: [{ upstream: 'a', model: 'fake-model' }] }],
        limits: { queueLength: 12 },
      });
      onTestFinished(() => gateway.kill());
      const { url } = gateway;
      await load(url, stream, 8, 500);
      const atPeak = await load(url, stream, 8, 2_500);
      const usualMs = quantile(
        atPeak.map(({ durationMs }) => durationMs),
        0.5,
      );
      const peak = goodput(atPeak, 2_500, PATIENCE * usualMs);

      const before = residentBytes(gateway.child.pid!);
      let longest = 0;
      let surging = true;
      const watched = (async () => {
        while (surging) {
          longest = Math.max(longest, (await modelOf(url)).queued);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      })();
      const replies = await load(url, stream, 80, 4_000);
      surging = false;
      await watched;
      const grownMb = (residentBytes(gateway.child.pid!) - before) / 1e6;
      const atSurge = goodput(replies, 4_000, PATIENCE * usualMs);
      const refused = replies.filter(({ status }) => status === 503);
      const refusedMs = refused.map(({ processingMs }) => processingMs);

      expect(replies.filter(({ whole, status }) => !whole && status !== 503)).toEqual([]);
      expect(atSurge / peak).toBeGreaterThanOrEqual(0.9);
      expect(refused.length).toBeGreaterThan(50);
      expect(quantile(refusedMs, 0.5)).toBeLessThan(10);
      expect(Math.min(...refused.map(({ retryAfterS }) => retryAfterS))).toBeGreaterThan(0);
      expect(longest).toBeLessThanOrEqual(12);
      expect(grownMb).toBeLessThan(100);

      const { active, queued, rejected } = await modelOf(url);
      expect({ active, queued, rejected }).toEqual({
        active: 0,
        queued: 0,
        rejected: { full: refused.length, timeout: 0, share: 0 },
      });
      const [after] = await load(url, stream, 1, -RAMP_MS + 1);
      expect(after).toMatchObject({ whole: true });
      expect(after!.durationMs).toBeLessThan(3 * usualMs);
      expect(await metric(url, 'qianmen_queue_length')).toBe(0);
      console.info(
        `peak ${peak.toFixed(1)}/s, under load ${atSurge.toFixed(1)}/s, ${refused.length} turned away, ` +
          `p50 ${quantile(refusedMs, 0.5)} ms, p99 ${quantile(refusedMs, 0.99)} ms, ` +
          `+${grownMb.toFixed(0)} MB, afterwards ${after!.durationMs.toFixed(0)} ms`,
      );
    },
  );
});

describe('an upstream that has ceased to answer', () => {
  it('is sent fewer whole replies before any of them has come back, and all again once it answers', async () => {
    const fleet = await serveFleet([{ ttftMs: 5 }], { upstream: { concurrency: { initial: 64, max: 64 } } });
    const ask = (signal?: AbortSignal) => fleet.ask({ stream: false, ...(signal && { signal }) });
    for (let i = 0; i < 30; i += 1) await ask();
    fleet.fakes[0]!.setBehaviour({ ttftMs: 60_000 });
    const leaving = new AbortController();
    const limit = () => fleet.backend('a').limit;
    const held = Array.from({ length: 40 }, () => ask(leaving.signal).catch(() => undefined));
    await eventually('they are inside', () => fleet.backend('a').inFlight === 40);
    expect(limit()).toBe(64);
    await eventually('it is noticed', () => {
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
