import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WaitQueue } from './wait-queue.ts';

let room: number;
let queue: WaitQueue<string>;
let served: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  room = 0;
  served = [];
  queue = new WaitQueue({ capacity: 3, maxWaitMs: 1_000, now: () => performance.now() });
});

afterEach(() => vi.useRealTimers());

function wait(name: string, options: { signal?: AbortSignal; picky?: () => boolean } = {}) {
  const claim = () => {
    if (room === 0 || options.picky?.() === false) return undefined;
    room -= 1;
    served.push(name);
    return name;
  };
  return queue.wait(claim, options.signal ?? new AbortController().signal);
}

describe('WaitQueue', () => {
  it('serves in the order of coming, as many as there is room for', async () => {
    const all = ['a', 'b', 'c'].map((name) => wait(name));
    room = 2;
    expect(queue.pump()).toBe(true);
    expect(served).toEqual(['a', 'b']);
    expect(await Promise.all(all.slice(0, 2))).toEqual(['a', 'b']);
    expect(queue.length).toBe(1);
  });

  it('turns away at once whoever finds it full', async () => {
    for (const name of ['a', 'b', 'c']) void wait(name);
    expect(await wait('d')).toBe('full');
    expect(queue.rejected).toEqual({ full: 1, timeout: 0 });
  });

  describe('that foresees', () => {
    beforeEach(() => {
      queue = new WaitQueue({
        capacity: 100,
        maxWaitMs: 1_000,
        foresees: true,
        now: () => performance.now(),
      });
    });

    /** Twenty wait, and one is served every so often. */
    function move(everyMs: number): void {
      for (let i = 0; i < 20; i += 1) void wait(`${i}`);
      for (let i = 0; i < 10; i += 1) {
        vi.advanceTimersByTime(everyMs);
        room = 1;
        queue.pump();
      }
    }

    it('turns away at once whoever would wait for too long, and tells how long that is', async () => {
      move(90);
      expect(queue.expectedWaitMs).toBeCloseTo(990);
      void wait('the last');
      expect(queue.expectedWaitMs).toBeGreaterThan(1_000);
      expect(await wait('one more')).toBe('full');
      expect(queue.rejected).toEqual({ full: 1, timeout: 0 });
    });

    it('knows nothing of a line that has dispersed, and nothing before it has moved', async () => {
      move(50);
      room = 100;
      queue.pump();
      expect(queue.length).toBe(0);
      vi.advanceTimersByTime(60_000);
      expect(queue.expectedWaitMs).toBeUndefined();
      room = 0;
      for (let i = 0; i < 100; i += 1) void wait(`${i}`);
      expect(queue.length).toBe(100);
      expect(queue.expectedWaitMs).toBeUndefined();
    });
  });

  it('lets nobody wait for longer than the limit', async () => {
    const first = wait('a');
    vi.advanceTimersByTime(600);
    void wait('b');
    vi.advanceTimersByTime(500);
    expect(await first).toBe('timeout');
    expect(queue.length).toBe(1);
    expect(queue.headAgeMs).toBe(500);
  });

  it('forgets at once whoever leaves, with the reason', async () => {
    const leaving = new AbortController();
    const gone = wait('a', { signal: leaving.signal });
    void wait('b');
    leaving.abort(new Error('left'));
    expect(queue.length).toBe(1);
    await expect(gone).rejects.toThrow('left');
    room = 1;
    queue.pump();
    expect(served).toEqual(['b']);
  });

  it('takes nobody in who has left already', async () => {
    await expect(wait('a', { signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow('left');
    expect(queue.length).toBe(0);
  });

  it('passes by one that cannot be served yet', () => {
    void wait('a', { picky: () => false });
    void wait('b');
    room = 1;
    queue.pump();
    expect(served).toEqual(['b']);
  });

  it('notices room that came without a word', () => {
    void wait('a');
    room = 1;
    vi.advanceTimersByTime(60);
    expect(served).toEqual(['a']);
    expect(vi.getTimerCount()).toBe(0);
  });
});
