import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LatencyModel, prefillWork } from './latency-model.ts';
import { NonNegativeRls } from './recursive-least-squares.ts';

it('finds the coefficients behind what it observes', () => {
  const model = new LatencyModel();
  for (let i = 0; i < 400; i += 1) {
    const work = prefillWork(200 + ((i * 7_919) % 30_000), 0);
    model.observeTtft(work, 40 + 0.2 * work.tokens + 2e-6 * work.pairs);
    model.observeTpot(1 + (i % 40), 5_000 * (i % 11), 12 + 0.5 * (1 + (i % 40)) + 2e-5 * 5_000 * (i % 11));
  }
  const work = prefillWork(10_000, 4_000);
  const truthMs = 40 + 0.2 * work.tokens + 2e-6 * work.pairs;
  expect(model.netMs + model.prefillMs(work.tokens, work.pairs)).toBeGreaterThan(0.95 * truthMs);
  expect(model.netMs + model.prefillMs(work.tokens, work.pairs)).toBeLessThan(1.05 * truthMs);
  expect(model.netMs).toBeGreaterThan(30);
  expect(model.netMs).toBeLessThan(50);
  expect(model.tpotMs(20, 20_000)).toBeCloseTo(22.4, 0);
});

it('never thinks that more work takes less time, whatever it is told', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(50_000), fc.double({ min: 0, max: 1e6, noNaN: true })), { maxLength: 100 }),
      (observed) => {
        const model = new LatencyModel();
        for (const [tokens, ttftMs] of observed) {
          model.observeSpeed(prefillWork(tokens, 0), ttftMs);
          model.observeTtft(prefillWork(tokens, 0), ttftMs);
        }
        const small = model.prefillMs(100, 1_000);
        const large = model.prefillMs(1_000, 100_000);
        expect(small).toBeGreaterThanOrEqual(0);
        expect(large).toBeGreaterThanOrEqual(small);
        expect(Number.isFinite(large * model.scale)).toBe(true);
      },
    ),
  );
});

it('follows a machine that has become slower by its scale, sooner than by its coefficients', () => {
  const model = new LatencyModel();
  const work = prefillWork(1_000, 0);
  for (let i = 0; i < 100; i += 1) {
    model.observeSpeed(work, 100);
    model.observeTtft(work, 100);
  }
  for (let i = 0; i < 40; i += 1) model.observeSpeed(work, 300);
  expect(model.scale).toBeGreaterThan(2);
});

it('stays calm while nothing varies, and does not jump at the first thing that does', () => {
  const rls = new NonNegativeRls([1, 1], [10, 10], 0.99);
  for (let i = 0; i < 10_000; i += 1) rls.observe([1, 0], 5, 1);
  rls.observe([1, 1], 7, 1);
  expect(rls.coefficients[0]).toBeCloseTo(5, 0);
  expect(rls.coefficients[1]).toBeGreaterThan(0);
  expect(rls.coefficients[1]).toBeLessThan(10);
});
