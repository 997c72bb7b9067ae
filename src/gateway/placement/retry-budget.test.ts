import { beforeEach, describe, expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.ts';

let active: number;
const tenant = { projectId: 'a', weight: 1, priority: 0 };
let budget: RetryBudget;
const signal = new AbortController().signal;

beforeEach(() => {
  active = 0;
  budget = new RetryBudget(
    () => active,
    () => performance.now(),
  );
});

describe('RetryBudget', () => {
  it('is a tenth of what is active, and three at least', () => {
    expect(budget.limit).toBe(3);
    active = 30;
    expect(budget.limit).toBe(3);
    active = 199;
    expect(budget.limit).toBe(19);
  });

  it('never lets more retry at once, and everybody in the end', async () => {
    active = 50;
    let running = 0;
    let most = 0;
    const retries = Array.from({ length: 40 }, async () => {
      const giveBack = await budget.turn(tenant, signal);
      expect(giveBack).toBeDefined();
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      giveBack?.();
    });
    expect(budget.running).toBe(5);
    expect(budget.waiting).toBe(35);
    await Promise.all(retries);
    expect(most).toBe(5);
    expect(budget).toMatchObject({ running: 0, waiting: 0, total: 40 });
  });

  it('has no turn at once when all are taken', () => {
    const turns = [budget.take(tenant), budget.take(tenant), budget.take(tenant)];
    expect(budget.take(tenant)).toBeUndefined();
    turns[0]?.();
    turns[0]?.();
    expect(budget.running).toBe(2);
    expect(budget.take(tenant)).toBeDefined();
  });

  it('forgets a client that leaves while it waits', async () => {
    for (let i = 0; i < 3; i += 1) budget.take(tenant);
    const leaving = new AbortController();
    const turn = budget.turn(tenant, leaving.signal);
    leaving.abort(new Error('left'));
    await expect(turn).rejects.toThrow('left');
    expect(budget.waiting).toBe(0);
  });
});
