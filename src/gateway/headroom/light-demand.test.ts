import { beforeEach, describe, expect, it } from 'vitest';
import { Asked, LightDemand } from './light-demand.ts';

const STAY_MS = 1_000;

let nowMs: number;
let demand: LightDemand;
let asked: Asked;

beforeEach(() => {
  nowMs = 0;
  demand = new LightDemand(() => nowMs);
  asked = new Asked(0);
  demand.stayed(STAY_MS);
});

/** They come at such times and stay for a second. */
function come(everyMs: number, times: number, atOnce = 1): void {
  for (let i = 0; i < times; i += 1) {
    for (let n = 0; n < atOnce; n += 1) demand.enter(asked);
    nowMs += Math.min(everyMs, STAY_MS);
    for (let n = 0; n < atOnce; n += 1) demand.leave(asked);
    nowMs += Math.max(0, everyMs - STAY_MS);
  }
}

describe('LightDemand', () => {
  it('asks for nothing where nobody came', () => {
    expect(demand.reserve(16, 100)).toBeLessThanOrEqual(1);
  });

  it('asks for a larger part of few places than of many', () => {
    come(2_000, 40, 2);
    expect(demand.reserve(4, 100)).toBeGreaterThanOrEqual(2);
    expect(demand.reserve(64, 100)).toBeLessThanOrEqual(2);
  });

  it('asks for no more than would make them one more than they were at once', () => {
    come(500, 100);
    expect(demand.reserve(4, 10)).toBeLessThanOrEqual(2);
    demand.enter(asked);
    expect(demand.reserve(4, 10)).toBe(1);
  });

  it('leaves one place to others', () => {
    come(100, 100, 8);
    expect(demand.reserve(4, 10)).toBe(3);
    expect(demand.reserve(1, 10)).toBe(0);
  });

  it('forgets what somebody asked for who turns out to be heavy, however many are still inside', () => {
    const heavy = new Asked(0);
    for (let n = 0; n < 30; n += 1) demand.enter(heavy);
    for (let n = 0; n < 25; n += 1) demand.leave(heavy);
    expect(demand.reserve(64, 10)).toBeGreaterThan(3);
    demand.forget(heavy);
    for (let n = 0; n < 5; n += 1) demand.leave(heavy);
    expect(demand.reserve(64, 10)).toBeLessThanOrEqual(1);
    come(500, 4, 2);
    expect(demand.reserve(64, 10)).toBeLessThanOrEqual(3);
  });

  it('asks for more for a while where somebody found no place', () => {
    come(1_000, 40, 4);
    nowMs += 2_000;
    const before = demand.reserve(64, 100);
    demand.foundNone();
    demand.foundNone();
    expect(demand.reserve(64, 100)).toBe(before + 1);
    nowMs += 45_000;
    expect(demand.reserve(64, 100)).toBeLessThanOrEqual(before);
  });
});
