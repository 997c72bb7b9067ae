import { describe, expect, it } from 'vitest';
import type { BackendHealth } from '../../core/backend.ts';
import { mergeReports, type UpstreamReport } from './upstream-report.ts';

function report(health: Partial<BackendHealth>, p95Ms: number | undefined, coolingMs = 0): UpstreamReport {
  const latency = { count: 3, p50Ms: undefined, p95Ms, p99Ms: undefined };
  return {
    upstreams: [
      {
        name: 'a',
        entry: 'a',
        leaving: false,
        drained: false,
        health: { state: 'ready', inFlight: 2, queued: 0, ...health },
        models: null,
        missingModels: [],
        traffic: {
          inFlight: 2,
          lent: 1,
          limit: 8,
          held: 8,
          coolingMs,
          ejectedMs: 0,
          ejections: 1,
          retries: 4,
          hedges: { won: 1, lost: 2 },
          ttft: latency,
          tpot: latency,
        },
      },
    ],
    models: [],
  };
}

describe('reports of several processes', () => {
  it('are added up where they count, and show the worst where each judges for itself', () => {
    const down = { state: 'down', breaker: 'open', detail: 'HTTP 500' } as const;
    const [merged] = mergeReports([report({}, 10), report(down, 30, 500), report({}, undefined)]).upstreams;
    expect(merged?.health).toEqual({ ...down, detail: '1 of 3 workers: HTTP 500', inFlight: 6, queued: 0 });
    expect(merged?.traffic).toMatchObject({
      inFlight: 6,
      lent: 3,
      limit: 24,
      coolingMs: 500,
      ejections: 3,
      retries: 12,
      hedges: { won: 3, lost: 6 },
      ttft: { count: 9, p50Ms: undefined, p95Ms: 30 },
    });
  });

  it('keep an upstream that leaves apart from its replacement of the same name', () => {
    const one = report({}, 10);
    const leaving = { ...one.upstreams[0]!, leaving: true, traffic: null };
    const both = { ...one, upstreams: [...one.upstreams, leaving] };
    expect(mergeReports([both, both]).upstreams.map(({ traffic }) => traffic?.inFlight)).toEqual([
      4,
      undefined,
    ]);
  });
});
