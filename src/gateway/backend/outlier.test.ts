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
  answer(times: number, sentAtMs = nowMs): this {
    for (let i = 0; i < 8; i += 1) this.slowness.observe(100 * times, 100, sentAtMs);
    return this;
  }
}

/** Two looks at it, with time for more requests between. */
function judge(
  member: Member,
  fleet: readonly { readonly member: Member; readonly times: number }[],
): boolean {
  const all = fleet.map((one) => one.member);
  if (ejectIfOutlier(member, all)) throw new Error('ejected at first sight');
  nowMs += 1;
  for (const one of fleet) if (one.member.ready) one.member.answer(one.times);
  return ejectIfOutlier(member, all);
}

describe('isOutlier', () => {
  it('asks for three MAD, and for about twice as slow at the least', () => {
    expect(isOutlier(Math.log(1.8), [0, 0, 0])).toBe(false);
    expect(isOutlier(Math.log(2.1), [0, 0, 0])).toBe(true);
    expect(isOutlier(Math.log(8), [0, 1, -1, 2, -2])).toBe(false);
    expect(isOutlier(99, [])).toBe(false);
  });
});

describe('ejectIfOutlier', () => {
  const fleetOf = (...times: number[]) => times.map((t) => ({ member: new Member().answer(t), times: t }));
  const ejectedOf = (fleet: ReturnType<typeof fleetOf>) =>
    fleet.map(({ member }) => judge(member, fleet)).map(Number);

  it('leaves the one alone that has become slow', () => {
    const fleet = fleetOf(1, 1.1, 5, 0.9);
    expect(ejectedOf(fleet)).toEqual([0, 0, 1, 0]);
    expect(fleet[2]?.member).toMatchObject({ ready: false, slowness: { ejectedMs: 9_999, ejections: 1 } });
  });

  it('does nothing when all have become slow together', () => {
    expect(ejectedOf(fleetOf(5, 5.5, 4.5))).toEqual([0, 0, 0]);
  });

  it('does not punish the first to notice that all have become slow', () => {
    const fleet = fleetOf(1, 1, 1);
    const [first] = fleet;
    first?.member.answer(9).answer(9);
    expect(
      judge(
        first!.member,
        fleet.map(({ member }) => ({ member, times: 9 })),
      ),
    ).toBe(false);
  });

  it('does not punish one for a moment in which it stood still', () => {
    const fleet = fleetOf(1, 1, 9);
    const slow = fleet[2]!.member;
    const members = fleet.map(({ member }) => member);
    const sentAtMs = nowMs;
    expect(ejectIfOutlier(slow, members)).toBe(false);
    nowMs += 5;
    for (const { member, times } of fleet) member.answer(times, sentAtMs);
    expect(ejectIfOutlier(slow, members)).toBe(false);
    for (let i = 0; i < 3; i += 1) {
      nowMs += 5;
      for (const { member } of fleet) member.answer(1);
      expect(ejectIfOutlier(slow, members)).toBe(false);
    }
    expect(slow.slowness.suspectSinceMs).toBeUndefined();
  });

  it('ejects half of the fleet at most', () => {
    const fleet = fleetOf(1, 1, 1, 9, 9);
    expect(ejectedOf(fleet)).toEqual([0, 0, 0, 1, 1]);
    fleet[2]?.member.answer(9).answer(9);
    fleet[2]!.times = 9;
    expect(judge(fleet[2]!.member, fleet)).toBe(false);
  });

  it('spares one where too few of the others work', () => {
    const fleet = fleetOf(1, 1, 1, 9);
    const [down, other] = fleet;
    down!.member.up = false;
    other!.member.up = false;
    expect(judge(fleet[3]!.member, fleet)).toBe(false);
    other!.member.up = true;
    nowMs += 1;
    expect(judge(fleet[3]!.member, fleet)).toBe(true);
  });

  it('never ejects the last one that works', () => {
    const fleet = fleetOf(9, 1);
    const [slow, other] = fleet;
    other!.member.up = false;
    expect(judge(slow!.member, fleet)).toBe(false);
    expect(judge(slow!.member, [slow!])).toBe(false);
    other!.member.up = true;
    expect(judge(slow!.member, fleet)).toBe(true);
  });

  it('judges by enough samples, and recent ones only', () => {
    const fleet = fleetOf(1, 1);
    const fresh = new Member();
    fresh.slowness.observe(900, 100, nowMs);
    expect(ejectIfOutlier(fresh, [...fleet.map(({ member }) => member), fresh])).toBe(false);
    const old = new Member().answer(9);
    nowMs += 31_000;
    for (const { member } of fleet) member.answer(1);
    expect(old.slowness.score).toBeUndefined();
  });

  it('takes it back, and leaves it alone for longer if it has not mended', () => {
    const fleet = fleetOf(1, 1, 9);
    const slow = fleet[2]!.member;
    for (const expected of [10_000, 20_000, 40_000, 60_000, 60_000]) {
      for (const { member, times } of fleet) member.answer(times);
      expect(judge(slow, fleet)).toBe(true);
      expect(slow.slowness.ejectedMs).toBe(expected);
      nowMs += expected;
      expect(slow.ready).toBe(true);
    }
    nowMs += 61_000;
    for (const { member, times } of fleet) member.answer(times);
    judge(slow, fleet);
    expect(slow.slowness.ejectedMs).toBe(10_000);
  });
});
