import { expect, it } from 'vitest';
import { isWhole, serveFleet } from './fleet.ts';

interface Traffic {
  readonly inFlight: number;
  readonly limit: number;
  readonly ejections: number;
  readonly coolingMs: number;
  readonly ttft: { readonly count: number; readonly p50Ms: number; readonly p99Ms: number };
  readonly tpot: { readonly p50Ms: number };
}

interface Report {
  readonly upstreams: readonly {
    readonly name: string;
    readonly health: { readonly state: string; readonly breaker: string; readonly detail?: string };
    readonly traffic: Traffic;
  }[];
  readonly models: readonly Record<string, unknown>[];
}

it('operators see how each upstream does, and why', async () => {
  const fleet = await serveFleet([{ ttftMs: 30, itlMs: 10 }, { status: 500 }], {
    upstream: { probe: { intervalMs: 60_000 } },
  });
  const look = () => fetch(`${fleet.url}/admin/upstreams`);
  // The first request of an operator takes long, and a breaker does not stay open for ever.
  await look();
  let asked = 0;
  for (; fleet.backend('b').health.breaker !== 'open'; asked += 1)
    expect(isWhole(await fleet.ask())).toBe(true);
  const report = (await (await look()).json()) as Report;
  const [a, b] = report.upstreams;
  expect(a).toMatchObject({
    name: 'a',
    health: { state: 'ready', breaker: 'closed' },
    traffic: { inFlight: 0, limit: 256, coolingMs: 0, ejectedMs: 0, ejections: 0, ttft: { count: asked } },
  });
  expect(a?.traffic.ttft.p50Ms).toBeGreaterThan(28);
  expect(a?.traffic.tpot.p50Ms).toBeGreaterThan(8);
  expect(b).toMatchObject({
    health: { state: 'down', breaker: 'open', detail: expect.stringContaining('500') },
  });
  expect(report.models).toMatchObject([
    {
      name: 'm',
      active: 0,
      queued: 0,
      retrying: 0,
      retryBudget: 3,
      retries: 5,
      rejected: { full: 0, timeout: 0, share: 0 },
      hedges: { won: 0, lost: 0 },
    },
  ]);
  const metrics = await (await fetch(`${fleet.url}/metrics`)).text();
  for (const line of [
    'qianmen_backend_breaker_state{backend="a",state="closed"} 1',
    'qianmen_backend_breaker_state{backend="b",state="open"} 1',
    'qianmen_backend_concurrency_limit{backend="a"} 256',
    'qianmen_backend_ejected{backend="b"} 0',
    'qianmen_retries_total{model="m",backend="a"} 5',
    'qianmen_retry_budget{model="m"} 3',
    'qianmen_queue_length{model="m"} 0',
  ])
    expect(metrics).toContain(`${line}\n`);
});
