import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Patience } from './patience.ts';

describe('patience', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const never = () => new Promise<never>(() => {});

  it('ends after its time, for each by itself', async () => {
    const patience = new Patience(100);
    const ended: string[] = [];
    patience.for(never()).catch((error) => ended.push(`first: ${error.message}`));
    await vi.advanceTimersByTimeAsync(50);
    patience.for(never()).catch((error) => ended.push(`second: ${error.message}`));
    await vi.advanceTimersByTimeAsync(50);
    expect(ended).toEqual(['first: no answer within 100 ms']);
    await vi.advanceTimersByTimeAsync(50);
    expect(ended).toEqual(['first: no answer within 100 ms', 'second: no answer within 100 ms']);
  });

  it('passes answers and errors on, and keeps no timer for them', async () => {
    const patience = new Patience(100);
    await expect(patience.for(Promise.resolve('PONG'))).resolves.toBe('PONG');
    await expect(patience.for(Promise.reject(new Error('LOADING')))).rejects.toThrow('LOADING');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not blame others for the time in which this process was busy', async () => {
    const patience = new Patience(100);
    const answer = Promise.withResolvers<string>();
    const waiting = patience.for(answer.promise);
    // A busy process finds one turn of its timer where there should have been many.
    vi.setSystemTime(Date.now() + 10_000);
    vi.advanceTimersToNextTimer();
    answer.resolve('late, but not its fault');
    await expect(waiting).resolves.toContain('late');
  });
});
