import { beforeEach, describe, expect, it } from 'vitest';
import { Usual } from './usual.ts';

let usual: Usual;

beforeEach(() => {
  usual = new Usual();
});

function learn(times: number, ratio: number, atMs: number): void {
  for (let i = 0; i < times; i += 1) usual.learn(ratio, atMs);
}

describe('Usual', () => {
  it('is what nearly all took, and a strict guess until enough are known', () => {
    learn(7, 2, 0);
    expect([usual.isKnown, usual.ratio]).toEqual([false, 1]);
    learn(1, 2, 0);
    expect([usual.isKnown, usual.ratio]).toEqual([true, 2]);
    learn(64, 1.5, 0);
    expect(usual.ratio).toBe(2);
    learn(128, 1.5, 0);
    expect(usual.ratio).toBe(1.5);
    learn(4, 9, 0);
    expect(usual.ratio).toBe(1.5);
  });

  it('calls less late the more is known', () => {
    learn(8, 1, 0);
    const before = usual.lateRatio;
    learn(120, 1, 0);
    expect(usual.lateRatio).toBeLessThan(before);
    expect(usual.lateRatio).toBeGreaterThan(usual.strictLateRatio);
  });

  it('forgets what it has learnt since, and guesses again where too little is left', () => {
    learn(150, 1.2, 1_000);
    learn(50, 3, 2_000);
    usual.forget(2_000);
    expect(usual.ratio).toBe(1.2);
    learn(16, 3, 3_000);
    expect(usual.ratio).toBe(3);
    usual.forget(1_000);
    expect([usual.isKnown, usual.ratio]).toEqual([false, 1]);
  });
});
