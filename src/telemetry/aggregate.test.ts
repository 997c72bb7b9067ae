import { describe, expect, it } from 'vitest';
import type { GatewayEvent } from '../core/event.ts';
import { MetricsAggregate } from './aggregate.ts';
import { createMetrics } from './metrics.ts';

function processThatRefused(times: number, reloadOk = true) {
  const metrics = createMetrics({
    backends: () => [],
    leaving: () => [],
    inFlight: () => times,
    report: () => ({ backends: [], canaries: [], models: [] }),
    localMemory: () => ({ budgetBytes: 0, models: [] }),
    accounts: () => ({
      ledgerBacklogBytes: 0,
      ledgerUp: true,
      ledgerBrokenWrites: 0,
      ledgerRefusedRows: 0,
      sharedLimitsUp: true,
    }),
  });
  const refused: GatewayEvent = {
    type: 'request-refused',
    requestId: 'r',
    status: 400,
    code: 'invalid_json',
    param: undefined,
    cause: undefined,
  };
  for (let i = 0; i < times; i++) metrics.observe(refused);
  metrics.observe({ type: 'config-reloaded', ok: reloadOk, detail: '', ignored: [] });
  return metrics.snapshot();
}

describe('metrics of several processes', () => {
  it('adds up what is counted, and takes the worst of what is a state', async () => {
    const aggregate = new MetricsAggregate();
    aggregate.update(1, await processThatRefused(3));
    aggregate.update(2, await processThatRefused(4, false));
    const { body } = await aggregate.render([]);
    expect(body).toContain('qianmen_requests_refused_total{code="invalid_json"} 7\n');
    expect(body).toContain('qianmen_requests_in_flight 7\n');
    expect(body).toContain('qianmen_config_last_reload_success 0\n');
    expect(body).toContain('qianmen_config_reload_failures_total 1\n');
  });

  it('keeps what a process had counted, and forgets the rest of it, when it ends', async () => {
    const aggregate = new MetricsAggregate();
    aggregate.update(1, await processThatRefused(3));
    aggregate.update(2, await processThatRefused(4));
    await aggregate.lost(1);
    aggregate.update(3, await processThatRefused(1));
    await aggregate.lost(2);
    const { body } = await aggregate.render([]);
    expect(body).toContain('qianmen_requests_refused_total{code="invalid_json"} 8\n');
    expect(body).toContain('qianmen_requests_in_flight 1\n');
  });
});
