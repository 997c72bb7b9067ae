import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Turns } from './turns.ts';

it('does one thing after the other, each organization in turn', async () => {
  const turns = new Turns();
  const begun: string[] = [];
  let running = 0;
  const work = (name: string) => async () => {
    begun.push(name);
    running += 1;
    expect(running).toBe(1);
    await sleep(1);
    running -= 1;
  };
  await Promise.all([
    ...['a1', 'a2', 'a3', 'a4'].map((name) => turns.take('a', work(name))),
    ...['b1', 'b2'].map((name) => turns.take('b', work(name))),
  ]);
  expect(begun).toEqual(['a1', 'a2', 'b1', 'a3', 'b2', 'a4']);
});

it('leaves most of the time to others', async () => {
  const turns = new Turns();
  let workedMs = 0;
  const startMs = performance.now();
  const work = async () => {
    const fromMs = performance.now();
    while (performance.now() - fromMs < 5);
    workedMs += performance.now() - fromMs;
  };
  await Promise.all(Array.from({ length: 10 }, () => turns.take('a', work)));
  expect(performance.now() - startMs).toBeGreaterThan(2 * workedMs);
});

it('refuses an organization that has too many waiting, and no other', async () => {
  const turns = new Turns();
  const all = Array.from({ length: 40 }, () => turns.take('a', async () => 'done'));
  const others = turns.take('b', async () => 'done');
  const outcomes = await Promise.allSettled(all);
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  expect(refused).toHaveLength(7);
  expect(refused[0]).toMatchObject({ reason: { code: 'rate_limit_exceeded' } });
  expect(await others).toBe('done');
});

it('waits for nothing that takes long, and goes on after what fails', async () => {
  const turns = new Turns();
  const stuck = turns.take('a', () => new Promise<never>(() => {}));
  await expect(turns.take('a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await turns.take('a', async () => 'done')).toBe('done');
  expect(stuck).toBeInstanceOf(Promise);
});
