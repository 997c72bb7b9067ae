import { beforeEach, describe, expect, it } from 'vitest';
import { LatencyHistogram } from './latency-histogram.ts';
import { LatencyPredictor } from './latency-predictor.ts';
import { ModelTimings } from './model-timings.ts';

let nowMs: number;
const now = () => nowMs;

beforeEach(() => {
  nowMs = 0;
});

describe('LatencyHistogram', () => {
  it('knows quantiles within 7 %, from microseconds to hours', () => {
    for (const scale of [1e-3, 1, 1e3, 1e4]) {
      const histogram = new LatencyHistogram(now);
      for (let i = 1; i <= 1_000; i += 1) histogram.observe(i * scale);
      for (const q of [0.01, 0.5, 0.95, 0.99, 1]) {
        const exact = q * 1_000 * scale;
        expect(Math.abs((histogram.quantile(q) ?? 0) / exact - 1)).toBeLessThan(0.07);
      }
    }
  });

  it('takes any number', () => {
    const histogram = new LatencyHistogram(now);
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300, 5e-324])
      histogram.observe(value);
    expect(histogram.count).toBe(6);
    expect(histogram.quantile(1)).toBeGreaterThan(1e6);
  });

  it('forgets what is more than two minutes old', () => {
    const histogram = new LatencyHistogram(now);
    histogram.observe(1_000);
    nowMs += 61_000;
    histogram.observe(1);
    expect(histogram.quantile(1)).toBeGreaterThan(900);
    nowMs += 61_000;
    histogram.observe(1);
    expect(histogram.quantile(1)).toBeLessThan(2);
    nowMs += 200_000;
    expect(histogram.report()).toEqual({ count: 0, p50Ms: undefined, p95Ms: undefined, p99Ms: undefined });
  });
});

describe('LatencyPredictor', () => {
  it('knows nothing of sizes that it has not seen', () => {
    const predictor = new LatencyPredictor();
    for (let i = 0; i < 5; i += 1) predictor.observe(1_000, 50, now());
    expect(predictor.predictMs(1_000)).toBeCloseTo(50);
    expect(predictor.predictMs(1_500)).toBeCloseTo(50);
    expect(predictor.predictMs(100_000)).toBeUndefined();
    for (let i = 0; i < 5; i += 1) predictor.observe(100_000, 4_000, now());
    expect(predictor.predictMs(100_000)).toBeCloseTo(4_000);
    expect(predictor.predictMs(1_000)).toBeCloseTo(50);
  });

  it('does not take congestion for the new normal at once, but in the end', () => {
    const predictor = new LatencyPredictor();
    const observe = (ms: number, seconds: number) => {
      for (let i = 0; i < seconds * 50; i += 1) {
        nowMs += 20;
        predictor.observe(1_000, ms, nowMs);
      }
    };
    observe(100, 1);
    observe(1_000, 5);
    expect(predictor.predictMs(1_000)).toBeLessThan(130);
    observe(1_000, 300);
    expect(predictor.predictMs(1_000)).toBeGreaterThan(900);
    observe(100, 1);
    expect(predictor.predictMs(1_000)).toBeLessThan(105);
  });
});

describe('ModelTimings', () => {
  it.each([true, false])(
    'predicts the 95th percentile for a size of prompt, once it has seen enough',
    (stream) => {
      const timing = new ModelTimings(now).untilBegun(stream);
      for (let i = 0; i < 20; i += 1) timing.observe(1_000, 100, now());
      expect(timing.p95Ms(1_000)).toBeUndefined();
      for (let i = 0; i < 10; i += 1) timing.observe(1_000, 300, now());
      expect(timing.predictMs(1_000)).toBeCloseTo(100);
      expect(timing.p95Ms(1_000)).toBeGreaterThan(280);
      expect(timing.p95Ms(1_000)).toBeLessThan(320);
      expect(timing.p95Ms(1_000_000)).toBeUndefined();
      nowMs += 300_000;
      expect(timing.p95Ms(1_000)).toBeUndefined();
    },
  );
});
