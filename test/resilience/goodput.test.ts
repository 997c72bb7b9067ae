import { describe, expect, it, onTestFinished } from 'vitest';
import type { GatewayReport } from '../../src/core/report.ts';
import {
  chatBody,
  metric,
  postChat,
  residentBytes,
  startGatewayProcess,
} from '../support/gateway-process.ts';
import { spawnFake } from '../upstream/harness.ts';
import { isWhole } from './fleet.ts';

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
