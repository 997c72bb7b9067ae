import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { countedIn, timedIn } from './series.ts';

const BUCKETS = [0.1, 1, 10];

it("writes the same text as prom-client's own histogram", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.double({ min: 0, max: 100, noNaN: true })), async (values) => {
      const [ours, theirs] = [new Registry(), new Registry()];
      const series = timedIn(ours, { name: 'h', help: 'x', buckets: BUCKETS })({ model: 'm' });
      const histogram = new Histogram({
        name: 'h',
        help: 'x',
        buckets: BUCKETS,
        labelNames: ['model'],
        registers: [theirs],
      });
      histogram.zero({ model: 'm' });
      for (const value of values) {
        series.observe(value);
        histogram.observe({ model: 'm' }, value);
      }
      expect(await ours.metrics()).toBe(await theirs.metrics());
    }),
    { numRuns: 30 },
  );
});

it('counts each series by itself, and can be added up over processes', async () => {
  const registry = new Registry();
  const counter = countedIn(registry, { name: 'c_total', help: 'x' });
  counter({ code: 'ok' }).add(2);
  counter({ code: 'bad "quoted"' }).add(1);
  expect(await registry.metrics()).toContain('c_total{code="ok"} 2\nc_total{code="bad \\"quoted\\""} 1');
  expect(await registry.getMetricsAsJSON()).toMatchObject([
    { name: 'c_total', type: 'counter', aggregator: 'sum' },
  ]);
});
