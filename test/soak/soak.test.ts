import { readdirSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import type { UpstreamReport } from '../../src/api/admin/upstream-report.ts';
import type { FakeBehaviour } from '../fakes/openai-upstream.ts';
import {
  chatBody,
  eventually,
  metric,
  postChat,
  residentBytes,
  startGatewayProcess,
} from '../support/gateway-process.ts';
import { type FakeProcess, spawnFake } from '../upstream/harness.ts';
import { startTraffic } from './traffic.ts';

/** Time for every fault as one of many tests; `QIANMEN_SOAK_S=3600` for a soak in earnest. */
const SOAK_MS = 1_000 * Number(process.env.QIANMEN_SOAK_S ?? 11);
const CLIENTS = 24;
const FAULT_MS = 700;

/** What one of the upstreams does in turn. */
const FAULTS: readonly FakeBehaviour[] = [
  { status: 500 },
  { dieAfterEvents: 0 },
  { cutIdleAfterMs: 0 },
  { headerDelayMs: 60_000 },
  { status: 429, retryAfter: '1' },
  { malformedAfterEvents: 0 },
  { errorAfterEvents: 0 },
  { stallAfterEvents: 1 },
  { dieAfterEvents: 3, itlMs: 1 },
  { status: 503, errorBody: '<html>' },
  { hugeLineBytes: 4_000_000 },
  { contentType: 'text/html' },
  { omitDone: true },
  {},
];

async function behave({ port }: FakeProcess, behaviour: FakeBehaviour): Promise<void> {
  const url = `http://127.0.0.1:${port}/__fake/behaviour`;
  await fetch(url, { method: 'POST', body: JSON.stringify(behaviour) }).catch(() => {});
}

/** One upstream does something odd in turn, another is stopped, killed and started anew. */
function startFaults(odd: FakeProcess, restarted: FakeProcess) {
  let running = true;
  let turns = 0;
  let victim = restarted;
  const wait = () => new Promise((resolve) => setTimeout(resolve, FAULT_MS));
  const oddness = async () => {
    for (let i = 0; running; i += 1) {
      await behave(odd, FAULTS[i % FAULTS.length]!);
      turns += 1;
      await wait();
    }
    await behave(odd, {});
  };
  const deaths = async () => {
    while (running) {
      await wait();
      victim.child.kill('SIGSTOP');
      await wait();
      victim.child.kill('SIGCONT');
      await wait();
      victim.child.kill('SIGKILL');
      turns += 1;
      await wait();
      victim = await spawnFake({}, ['--port', String(restarted.port)]);
    }
  };
  const ended = Promise.all([oddness(), deaths()]);
  return {
    /** What the odd one has done, and the deaths of the other. */
    count: () => turns,
    async stop() {
      running = false;
      await ended;
    },
  };
}

it('through mixed faults nobody is left without an answer, few see an error, and nothing piles up', {
  timeout: SOAK_MS + 120_000,
}, async () => {
  const fakes = await Promise.all([{}, { itlMs: 1 }, {}, {}].map((behaviour) => spawnFake(behaviour)));
  const config = {
    upstreams: fakes.map(({ url }, i) => ({
      name: `u${i}`,
      url,
      timeouts: { connectMs: 500, firstByteMs: 1_000, idleMs: 1_000, totalMs: 5_000 },
      probe: { intervalMs: 250, timeoutMs: 1_000 },
    })),
    models: [{ name: 'm', deployments: fakes.map((_, i) => ({ upstream: `u${i}`, model: 'fake-model' })) }],
  };
  // The young generation is as `npm start` has it. What is alive has to fit in little more than it takes at rest: V8 ends a process whose
  // old generation is full of what cannot be collected, while how much lies there between two collections says nothing.
  const env = { NODE_OPTIONS: '--max-semi-space-size=8 --max-old-space-size=112' };
  const gateway = await startGatewayProcess(config, { env });
  onTestFinished(() => gateway.kill());
  // A line for every request would fill this process.
  gateway.reconfigure({ ...config, log: { level: 'error' } });
  await eventually('it is quiet', async () => {
    const before = gateway.output().length;
    await (await postChat(gateway.url, chatBody('m'))).text();
    await new Promise((resolve) => setTimeout(resolve, 50));
    return gateway.output().length === before;
  });
  const pid = gateway.child.pid!;
  const descriptors = () => readdirSync(`/proc/${pid}/fd`).length;

  const faults = startFaults(fakes[2]!, fakes[3]!);
  const traffic = startTraffic(gateway.url, CLIENTS);
  const rss: number[] = [];
  const beganAtMs = performance.now();
  // The first third warms it up.
  let descriptorsBefore = 0;
  while (performance.now() - beganAtMs < SOAK_MS) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    if (performance.now() - beganAtMs < SOAK_MS / 3) continue;
    descriptorsBefore ||= descriptors();
    rss.push(residentBytes(pid));
  }
  await traffic.stop();
  await faults.stop();

  const { whole, told, broken, left, refused, lost } = traffic.endings;
  const all = whole + told + broken + left + refused + lost;
  const seen = JSON.stringify({ ...traffic.endings, samples: traffic.samples }, null, 1);
  console.log(
    `soak: ${all} requests, ${told} told of an error, ${broken} broken by ${faults.count()} faults, RSS ${rss
      .map((bytes) => Math.round(bytes / 2 ** 20))
      .filter((_, i) => i % 8 === 0)
      .join(' ')} MiB`,
  );
  expect(lost, seen).toBe(0);
  expect(refused).toBeGreaterThan(0);
  expect(whole).toBeGreaterThan(all / 2);
  // What breaks before a token is hidden.
  expect(told / all, seen).toBeLessThan(0.01);
  // What breaks in the middle of a stream cannot be: each fault has some, however few requests a busy machine ends meanwhile.
  expect(broken, seen).toBeLessThan(Math.max(all / 100, faults.count() * (CLIENTS / 4)));

  await eventually('nothing is left in the gateway', async () => {
    const reply = await fetch(`${gateway.url}/admin/upstreams`);
    const { upstreams, models } = (await reply.json()) as UpstreamReport;
    return (
      upstreams.every(({ health, traffic }) => health.inFlight + (traffic?.inFlight ?? 0) === 0) &&
      models.every(
        ({ active, queued, retrying, retriesWaiting }) => active + queued + retrying + retriesWaiting === 0,
      )
    );
  });
  expect(await metric(gateway.url, 'qianmen_requests_in_flight')).toBe(0);
  expect(descriptors()).toBeLessThan(descriptorsBefore + CLIENTS);
  // What V8 and the allocator keep for later is bounded, too.
  expect(Math.max(...rss)).toBeLessThan(768 * 2 ** 20);
});
