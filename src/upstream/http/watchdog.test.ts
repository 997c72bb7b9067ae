import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AppError } from '../../core/error.ts';
import { Watchdog } from './watchdog.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function watched() {
  return { watchIndex: -1, startedAtMs: 0, responded: false, activeAtMs: 0, check: vi.fn(), fail: vi.fn() };
}

const immediates = () => new Promise((resolve) => setImmediate(resolve));

it('checks all that runs, with one timer, and rests when nothing does', async () => {
  const dog = new Watchdog(800, () => 42);
  const [one, two] = [watched(), watched()];
  expect(vi.getTimerCount()).toBe(0);
  dog.add(one);
  dog.add(two);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(100);
  await immediates();
  expect(one.check).toHaveBeenCalledWith(42);
  expect(two.check).toHaveBeenCalledOnce();
  dog.delete(one);
  dog.delete(two);
  expect(vi.getTimerCount()).toBe(0);
});

it('judges after pending input was read: a timer that is late comes before it', async () => {
  const dog = new Watchdog(40, () => 0);
  const one = watched();
  dog.add(one);
  vi.advanceTimersByTime(40);
  expect(one.check).not.toHaveBeenCalled();
  await immediates();
  expect(one.check).toHaveBeenCalled();
});

it('fails everything at once', () => {
  const dog = new Watchdog(800, () => 0);
  const [one, two] = [watched(), watched()];
  dog.add(one);
  dog.add(two);
  const error = new AppError('model_unavailable');
  dog.failAll(error);
  expect(one.fail).toHaveBeenCalledWith(error);
  expect(two.fail).toHaveBeenCalledWith(error);
});

it('fails what waits for an answer, unless that has started later', () => {
  const dog = new Watchdog(800, () => 0);
  const [waits, answered, later] = [watched(), { ...watched(), responded: true }, watched()];
  for (const one of [waits, answered, { ...later, startedAtMs: 11 }]) dog.add(one);
  dog.failUnanswered(new AppError('upstream_timeout'), 10);
  expect([waits, answered, later].map((one) => one.fail.mock.calls.length)).toEqual([1, 0, 0]);
});

it('tells everything that runs, also while one after the other ends', () => {
  const dog = new Watchdog(800, () => 0);
  const all = [watched(), watched(), watched(), watched()];
  for (const one of all) {
    dog.add(one);
    one.fail.mockImplementation(() => dog.delete(one));
  }
  dog.delete(all[1]!);
  dog.delete(all[1]!);
  dog.failAll(new AppError('shutting_down'));
  expect(all.map((one) => one.fail.mock.calls.length)).toEqual([1, 0, 1, 1]);
  expect(vi.getTimerCount()).toBe(0);
});
