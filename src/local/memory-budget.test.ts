import { describe, expect, test } from 'vitest';
import { type BudgetLimit, MemoryBudget, type Resident } from './memory-budget.ts';

class FakeModel implements Resident {
  readonly name: string;
  readonly expectedBytes: number;
  residentBytes: number | undefined;
  idleSinceMs: number | undefined;
  evictedFor: string | undefined;
  readonly #budget: MemoryBudget;

  constructor(budget: MemoryBudget, name: string, expectedBytes: number, idleSinceMs?: number) {
    this.#budget = budget;
    this.name = name;
    this.expectedBytes = expectedBytes;
    this.idleSinceMs = idleSinceMs;
  }

  async evict(inFavourOf: string): Promise<void> {
    await Promise.resolve();
    this.evictedFor = inFavourOf;
    this.#budget.release(this);
  }
}

const GIB = 2 ** 30;

function budgetOf(limit: Partial<BudgetLimit> = {}) {
  const budget = new MemoryBudget(() => ({ bytes: 10 * GIB, configured: true, ...limit }));
  const model = (name: string, gib: number, idleSinceMs?: number) =>
    new FakeModel(budget, name, gib * GIB, idleSinceMs);
  const admit = (resident: Resident, mayEvict = true, spare?: Resident) =>
    budget.admit(resident, { mayEvict, spare });
  return { budget, model, admit };
}

describe('a budget that somebody has set', () => {
  test('counts what models may come to take, or what they take if that is more', async () => {
    const { budget, model, admit } = budgetOf();
    const a = model('a', 2);
    expect(budget.chargeOf(a)).toBe(0);
    expect(await admit(a)).toBe(0);
    expect(budget.chargedBytes).toBe(2 * GIB);
    a.residentBytes = 1 * GIB;
    expect(budget.chargedBytes).toBe(2 * GIB);
    a.residentBytes = 3 * GIB;
    expect(budget.chargedBytes).toBe(3 * GIB);
    budget.release(a);
    expect(budget.chargedBytes).toBe(0);
  });

  test('evicts the longest idle, and no more than it has to', async () => {
    const { model, admit } = budgetOf();
    const [newer, older, busy] = [model('newer', 3, 20), model('older', 3, 10), model('busy', 3)];
    for (const one of [newer, older, busy]) await admit(one);
    await admit(model('next', 4));
    expect([newer.evictedFor, older.evictedFor, busy.evictedFor]).toEqual([undefined, 'next', undefined]);
  });

  test('evicts nothing for what will not fit all the same, and names who has how much', async () => {
    const { model, admit } = budgetOf();
    const [idle, busy] = [model('idle', 3, 10), model('busy', 6)];
    for (const one of [idle, busy]) await admit(one);
    await expect(admit(model('next', 5))).rejects.toThrow(
      /next may come to take 5\.00 GiB, .* allows 10\.00 GiB .*idle has 3\.00 GiB, busy has 6\.00 GiB and is busy/,
    );
    expect(idle.evictedFor).toBeUndefined();
    await expect(admit(model('giant', 11))).rejects.toThrow(/Give this one fewer slots/);
  });

  test('at the start of the gateway, and for the one to be replaced, nothing is evicted', async () => {
    const { model, admit } = budgetOf();
    const idle = model('idle', 8, 10);
    await admit(idle);
    await expect(admit(model('next', 5), false)).rejects.toThrow('next may come');
    await expect(admit(model('next', 5), true, idle)).rejects.toThrow(
      /next may come .*\. idle stays in memory until the new one takes over: unload it first, or give this one/,
    );
    expect(idle.evictedFor).toBeUndefined();
  });

  test('gives the room of one model away once, whoever asks at the same time', async () => {
    const { budget, model, admit } = budgetOf();
    await admit(model('idle', 8, 10));
    const outcomes = await Promise.allSettled([admit(model('b', 6)), admit(model('c', 6))]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(budget.chargedBytes).toBe(6 * GIB);
  });

  test('leaves one that got work while others were evicted', async () => {
    const { model, admit } = budgetOf();
    const [first, second] = [model('first', 5, 10), model('second', 5, 20)];
    for (const one of [first, second]) await admit(one);
    const evict = first.evict.bind(first);
    first.evict = async (name) => {
      second.idleSinceMs = undefined;
      await evict(name);
    };
    await expect(admit(model('next', 8))).rejects.toThrow('second has 5.00 GiB and is busy');
    expect(second.evictedFor).toBeUndefined();
  });
});

test('a budget that was guessed evicts idle models, but refuses nothing', async () => {
  const { model, admit } = budgetOf({ configured: false });
  const [idle, busy] = [model('idle', 4, 10), model('busy', 5)];
  for (const one of [idle, busy]) await admit(one);
  expect(await admit(model('next', 7))).toBe(2 * GIB);
  expect(idle.evictedFor).toBe('next');
});
