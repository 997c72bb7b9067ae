import { beforeEach, describe, expect, it } from 'vitest';
import { ejectIfOutlier, type FleetMember, isOutlier, Slowness } from './outlier.ts';

let nowMs: number;
const now = () => nowMs;

beforeEach(() => {
  nowMs = 1_000_000;
});

class Member implements FleetMember {
  up = true;
  readonly slowness = new Slowness(now, () => 0.5);

  get ready(): boolean {
    return this.up && this.slowness.ejectedMs === 0;
  }

  /** Answers eight requests, so many times later than predicted. */
  answer(times: number): this {
    for (let i = 0; i < 8; i += 1) this.slowness.observe(100 * times, 100);
    return this;
  }
}

const members = (...times: number[]) => times.map((t) => new Member().answer(t));

describe('isOutlier', () => {
  it('asks for three MAD, and for about twice as slow at the least', () => {
    expect(isOutlier(Math.log(1.8), [0, 0, 0])).toBe(false);
    expect(isOutlier(Math.log(2.1), [0, 0, 0])).toBe(true);
    expect(isOutlier(Math.log(8), [0, 1, -1, 2, -2])).toBe(false);
    expect(isOutlier(99, [])).toBe(false);
  });
});

describe('ejectIfOutlier', () => {
  it('leaves the one alone that has become slow', () => {
    const fleet = members(1, 1.1, 5, 0.9);
    expect(fleet.map((member) => ejectIfOutlier(member, fleet))).toEqual([false, false, true, false]);
    expect(fleet[2]).toMatchObject({ ready: false, slowness: { ejectedMs: 10_000, ejections: 1 } });
  });

  it('does nothing when all have become slow together', () => {
    const fleet = members(5, 5.5, 4.5);
    expect(fleet.some((member) => ejectIfOutlier(member, fleet))).toBe(false);
  });

  it('ejects half of the fleet at most', () => {
    const fleet = members(1, 1, 1, 9, 9);
    expect(fleet.filter((member) => ejectIfOutlier(member, fleet))).toHaveLength(2);
    fleet[2]?.answer(9).answer(9);
    expect(ejectIfOutlier(fleet[2]!, fleet)).toBe(false);
  });

  it('never ejects the last one that works', () => {
    const [slow, other] = members(9, 1);
    other!.up = false;
    expect(ejectIfOutlier(slow!, [slow!, other!])).toBe(false);
    other!.up = true;
    expect(ejectIfOutlier(slow!, [slow!, other!])).toBe(true);
    expect(ejectIfOutlier(slow!, [slow!])).toBe(false);
  });

  it('judges by enough samples, and recent ones only', () => {
    const fleet = members(1, 1);
    const fresh = new Member();
    fresh.slowness.observe(900, 100);
    expect(ejectIfOutlier(fresh, [...fleet, fresh])).toBe(false);
    const old = new Member().answer(9);
    nowMs += 31_000;
    for (const member of fleet) member.answer(1);
    expect(ejectIfOutlier(old, [...fleet, old])).toBe(false);
  });

  it('takes it back, and leaves it alone for longer if it has not mended', () => {
    const fleet = members(1, 1, 9);
    const slow = fleet[2]!;
    for (const expected of [10_000, 20_000, 40_000, 60_000, 60_000]) {
      slow.answer(9);
      for (const member of fleet.slice(0, 2)) member.answer(1);
      expect(ejectIfOutlier(slow, fleet)).toBe(true);
      expect(slow.slowness.ejectedMs).toBe(expected);
      nowMs += expected;
      expect(slow.ready).toBe(true);
    }
    nowMs += 61_000;
    slow.answer(9);
    for (const member of fleet.slice(0, 2)) member.answer(1);
    ejectIfOutlier(slow, fleet);
    expect(slow.slowness.ejectedMs).toBe(10_000);
  });
});
