import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { providerMetrics } from './provider-metrics.ts';

it('names the one provider that each loaded model computes on', async () => {
  const registry = new Registry();
  const observe = providerMetrics(registry);
  const tell = (engine: string, state: 'starting' | 'ready' | 'down', provider?: string) =>
    observe({
      type: 'engine-state-changed',
      engine,
      state,
      detail: '',
      ...(provider === undefined ? {} : { provider }),
    });
  const series = async () =>
    (await registry.getMetricsAsJSON()).flatMap(({ values }) => values.map(({ labels }) => labels));
  tell('a', 'starting');
  tell('a', 'ready', 'webgpu');
  tell('b', 'ready', 'cpu');
  expect(await series()).toEqual([
    { engine: 'a', provider: 'webgpu' },
    { engine: 'b', provider: 'cpu' },
  ]);
  tell('a', 'down');
  expect(await series()).toEqual([{ engine: 'b', provider: 'cpu' }]);
  tell('a', 'ready', 'cpu');
  expect(await series()).toContainEqual({ engine: 'a', provider: 'cpu' });
});
