import { afterEach, expect, it } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { serveUpstreams } from '../resilience/fleet.ts';
import { eventually } from '../support/gateway-process.ts';

const fakes: FakeUpstream[] = [];

afterEach(() => Promise.all(fakes.splice(0).map((fake) => fake.close())));

const metrics = (waiting: number) =>
  `vllm:num_requests_running{model_name="fake-model"} 8\nvllm:num_requests_waiting{model_name="fake-model"} ${waiting}\n`;

it('a server that others keep busy gets less, as far as it tells', async () => {
  const [busy, idle] = [
    await startFakeUpstream({ behaviour: { metrics: metrics(0) } }),
    await startFakeUpstream({ behaviour: { metrics: metrics(0) } }),
  ];
  fakes.push(busy, idle);
  const { ask } = await serveUpstreams([busy.url, idle.url], {
    upstream: { loads: { intervalMs: 50 } },
    model: { policy: 'lowest-latency' },
  });
  // Nothing is known of either before both have answered once.
  await eventually('both are known', async () => {
    await ask();
    return busy.requests.length > 0 && idle.requests.length > 0;
  });
  busy.setBehaviour({ metrics: metrics(200) });
  await eventually('the busy one is spared', async () => {
    const before = busy.requests.length;
    for (let i = 0; i < 10; i += 1) await ask();
    return busy.requests.length === before;
  });
});

it('a server that tells nonsense, or nothing, is served by what the gateway counts itself', async () => {
  const [liar, silent] = [
    await startFakeUpstream({ behaviour: { metrics: metrics(Number.NaN) } }),
    await startFakeUpstream(),
  ];
  fakes.push(liar, silent);
  const { ask } = await serveUpstreams([liar.url, silent.url], {
    upstream: { loads: { intervalMs: 50 } },
    model: { policy: 'least-in-flight' },
  });
  for (let i = 0; i < 20; i += 1) await ask();
  expect(liar.requests.length).toBeGreaterThan(0);
  expect(silent.requests.length).toBeGreaterThan(0);
});
