import { describe, expect, it } from 'vitest';
import { offAbort, onAbort } from './on-abort.ts';

describe('what waits for an abort', () => {
  it('is told once, in the order in which it came, and with one listener of the signal for all', () => {
    const controller = new AbortController();
    const told: string[] = [];
    let added = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      added += 1;
      add(...args);
    };
    for (const name of ['a', 'b', 'c']) onAbort(signal, () => told.push(name));
    controller.abort();
    controller.abort();
    expect(told).toEqual(['a', 'b', 'c']);
    expect(added).toBe(1);
  });

  it('is not told once it has left, and others are', () => {
    const controller = new AbortController();
    const told: string[] = [];
    const leaves = () => told.push('left');
    onAbort(controller.signal, leaves);
    onAbort(controller.signal, () => told.push('stayed'));
    offAbort(controller.signal, leaves);
    offAbort(controller.signal, () => {});
    controller.abort();
    expect(told).toEqual(['stayed']);
  });

  it('is told whatever becomes of the others', async () => {
    const controller = new AbortController();
    const told: string[] = [];
    const { signal } = controller;
    const leaves = () => told.push('left');
    const runners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
    onAbort(signal, () => {
      offAbort(signal, leaves);
      throw new Error('of one listener');
    });
    onAbort(signal, leaves);
    onAbort(signal, () => told.push('stayed'));
    controller.abort();
    onAbort(signal, () => told.push('late'));
    expect(told).toEqual(['stayed', 'late']);
    expect(await thrown).toEqual(new Error('of one listener'));
    for (const runner of runners) process.on('uncaughtException', runner);
  });

  it('is told by its own signal only', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    const told: string[] = [];
    onAbort(one.signal, () => told.push('one'));
    onAbort(other.signal, () => told.push('other'));
    other.abort();
    expect(told).toEqual(['other']);
  });
});
