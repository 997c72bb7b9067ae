import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Tenant } from '../request/tenant.ts';
import { FairQueue, type FairQueueOptions } from './fair-queue.ts';
import { Unserved } from './unserved.ts';

let room: number;
let queue: FairQueue<string>;
let served: string[];

const tenant = (projectId: string, weight = 1, priority = 0): Tenant => ({ projectId, weight, priority });
const a = tenant('a');
const b = tenant('b');

function newQueue(options: Partial<FairQueueOptions> = {}): FairQueue<string> {
  return new FairQueue({ capacity: 3, maxWaitMs: 1_000, now: () => performance.now(), ...options });
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  room = 0;
  served = [];
  queue = newQueue();
});

afterEach(() => vi.useRealTimers());

interface Waiting {
  readonly tenant?: Tenant;
  readonly tokens?: number;
  readonly deadlineAtMs?: number;
  readonly signal?: AbortSignal;
  readonly picky?: () => boolean;
}

function use(who: Tenant, tokens: number): void {
  const used = { prompt: tokens, output: 0 };
  queue.counters.settle(queue.counters.charge(who, used), used);
}

/** Waits for room, and uses what it was charged as soon as it gets it. */
function wait(name: string, options: Waiting = {}): Promise<string | Unserved> {
  const { tenant: who = a, tokens = 1, deadlineAtMs, signal = new AbortController().signal } = options;
  const claim = () => {
    if (room === 0 || options.picky?.() === false) return undefined;
    room -= 1;
    served.push(name);
    use(who, tokens);
    return name;
  };
  return queue.wait({ tenant: who, deadlineAtMs }, claim, signal);
}

function serve(count: number): string[] {
  const before = served.length;
  room = count;
  queue.pump();
  return served.slice(before);
}

describe('FairQueue', () => {
  it('tells the one who waits what went wrong with its claim, and serves on', async () => {
    const broken = wait('broken', {
      picky: () => {
        throw new Error('its deployment is gone');
      },
    });
    const next = wait('next');
    const told = expect(broken).rejects.toThrow('its deployment is gone');
    expect(serve(2)).toEqual(['next']);
    await told;
    expect(await next).toBe('next');
    expect(queue.length).toBe(0);
  });

  it('serves one tenant in the order of coming, as many as there is room for', async () => {
    const all = ['1', '2', '3'].map((name) => wait(name));
    room = 2;
    expect(queue.pump()).toBe(true);
    expect(served).toEqual(['1', '2']);
    expect(await Promise.all(all.slice(0, 2))).toEqual(['1', '2']);
    expect(queue.length).toBe(1);
  });

  it('tells who has a line of its own: more than one request, and not far fewer than another', () => {
    queue = newQueue({ capacity: 20 });
    const lines = () => [a, b].map((who) => queue.counters.hasLine(who));
    void wait('a1');
    for (const name of ['b1', 'b2']) void wait(name, { tenant: b });
    expect(lines()).toEqual([false, true]);
    void wait('a2');
    expect(lines()).toEqual([true, true]);
    for (let i = 3; i <= 7; i += 1) void wait(`b${i}`, { tenant: b });
    expect(lines()).toEqual([false, true]);
  });

  it('refuses at once whoever finds it full', async () => {
    for (const name of ['1', '2', '3']) void wait(name);
    expect(await wait('4')).toMatchObject({ reason: 'full', excessive: false });
    expect(queue.rejected).toEqual({ full: 1, timeout: 0, share: 0 });
  });

  it('lets nobody wait for longer than the limit', async () => {
    const first = wait('1');
    vi.advanceTimersByTime(600);
    void wait('2');
    vi.advanceTimersByTime(500);
    expect(await first).toMatchObject({ reason: 'timeout' });
    expect(queue.length).toBe(1);
    expect(queue.headAgeMs).toBe(500);
  });

  it('forgets at once whoever leaves, with the reason', async () => {
    const leaving = new AbortController();
    const gone = wait('1', { signal: leaving.signal });
    void wait('2', { tenant: b });
    leaving.abort(new Error('left'));
    expect(queue.length).toBe(1);
    expect(queue.longest(9)).toEqual([expect.objectContaining({ projectId: 'b', queued: 1 })]);
    await expect(gone).rejects.toThrow('left');
    expect(serve(1)).toEqual(['2']);
  });

  it('takes nobody in who has left already', async () => {
    await expect(wait('1', { signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow('left');
    expect(queue.length).toBe(0);
  });

  it('passes by one that cannot be served yet', () => {
    void wait('1', { picky: () => false });
    void wait('2');
    expect(serve(1)).toEqual(['2']);
  });

  it('passes by a whole line that cannot be served yet', () => {
    queue = newQueue({ capacity: 100 });
    for (let i = 0; i < 50; i += 1) void wait(`a${i}`, { picky: () => false });
    void wait('b', { tenant: b });
    expect(serve(1)).toEqual(['b']);
  });

  it('notices room that came without a word', () => {
    void wait('1');
    room = 1;
    vi.advanceTimersByTime(60);
    expect(served).toEqual(['1']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('among tenants', () => {
  beforeEach(() => {
    queue = newQueue({ capacity: 1_000 });
  });

  it('serves whoever was given the least', () => {
    for (let i = 0; i < 20; i += 1) void wait('a', { tokens: 10 });
    for (let i = 0; i < 20; i += 1) void wait('b', { tenant: b, tokens: 30 });
    expect(serve(12).filter((name) => name === 'a')).toHaveLength(9);
  });

  it('serves by weight', () => {
    for (let i = 0; i < 40; i += 1) void wait('a');
    for (let i = 0; i < 40; i += 1) void wait('b', { tenant: tenant('b', 2) });
    expect(serve(30).filter((name) => name === 'b')).toHaveLength(20);
  });

  it('serves a newcomer next, however long the line of another is', () => {
    for (let i = 0; i < 100; i += 1) void wait('a');
    serve(40);
    void wait('b', { tenant: b });
    expect(serve(2)).toContain('b');
  });

  it('lets nobody save up what it did not use', () => {
    use(b, 1);
    for (let i = 0; i < 100; i += 1) void wait('a');
    serve(60);
    for (let i = 0; i < 100; i += 1) void wait('b', { tenant: b });
    const next = serve(20);
    expect(next.filter((name) => name === 'b').length).toBeLessThanOrEqual(11);
  });

  it('holds what somebody used against nobody while nobody waited', () => {
    // Somebody runs all the time, so that nothing is forgotten.
    queue.counters.charge(tenant('c'), { prompt: 1, output: 0 });
    for (let i = 0; i < 1_000; i += 1) use(a, 100);
    for (let i = 0; i < 20; i += 1) void wait('b', { tenant: b, tokens: 100 });
    for (let i = 0; i < 20; i += 1) void wait('a', { tokens: 100 });
    expect(serve(20).filter((name) => name === 'a').length).toBeGreaterThanOrEqual(9);
  });

  it('gives back what a request did not use', () => {
    for (let i = 0; i < 9; i += 1) void wait('a');
    for (let i = 0; i < 9; i += 1) void wait('b', { tenant: b });
    const charge = queue.counters.charge(a, { prompt: 10, output: 1_000 });
    expect(serve(4)).toEqual(['b', 'b', 'b', 'b']);
    queue.counters.settle(charge, { prompt: 1, output: 0 });
    expect(serve(3)).toEqual(['a', 'a', 'a']);
  });

  it('does not hold up a newcomer for what others are only expected to use', () => {
    const expected = { prompt: 1, output: 500 };
    const charges = Array.from({ length: 8 }, () => queue.counters.charge(a, expected));
    for (let i = 0; i < 20; i += 1) void wait('a');
    for (let i = 0; i < 20; i += 1) void wait('b', { tenant: b });
    for (const charge of charges) queue.counters.settle(charge, { prompt: 1, output: 0 });
    expect(serve(10)).toContain('b');
  });

  it('serves the better band before all others', () => {
    void wait('low', { tenant: tenant('low', 100, 5) });
    for (let i = 0; i < 9; i += 1) void wait('high', { tenant: tenant('high', 1, -1) });
    void wait('usual');
    expect(serve(11)).toEqual([...Array(9).fill('high'), 'usual', 'low']);
  });

  it('serves the earliest deadline of a tenant first, and those without one in time, too', () => {
    void wait('none');
    void wait('late', { deadlineAtMs: performance.now() + 900 });
    void wait('early', { deadlineAtMs: performance.now() + 100 });
    vi.advanceTimersByTime(300);
    void wait('later', { deadlineAtMs: performance.now() + 900 });
    expect(serve(4)).toEqual(['early', 'late', 'none', 'later']);
  });

  it('lets whoever has nobody in line try at once, unless a better band waits', () => {
    void wait('a');
    expect(queue.mayPass(b)).toBe(true);
    expect(queue.mayPass(a)).toBe(false);
    expect(queue.mayPass(tenant('b', 1, 1))).toBe(false);
  });
});

describe('a full queue', () => {
  it('makes room for a tenant that has less in line, at the cost of the newest of the one with the most', async () => {
    const loud = ['a1', 'a2', 'a3'].map((name) => wait(name));
    void wait('b1', { tenant: b });
    expect(await loud[2]).toMatchObject({ reason: 'full', excessive: true });
    expect(queue.length).toBe(3);
    expect(await wait('a4')).toMatchObject({ reason: 'full', excessive: true });
    expect(await wait('b2', { tenant: b })).toMatchObject({ reason: 'full', excessive: false });
    expect(serve(3)).toEqual(['a1', 'b1', 'a2']);
    expect(queue.rejected).toEqual({ full: 3, timeout: 0, share: 2 });
  });

  it('sends nobody away after a wait for the sake of one that has nearly as much', async () => {
    queue = newQueue({ capacity: 12 });
    for (let i = 0; i < 7; i += 1) void wait('a');
    for (let i = 0; i < 5; i += 1) void wait('b', { tenant: b });
    expect(await wait('b', { tenant: b })).toMatchObject({ reason: 'full' });
    expect(queue.longest(9).map(({ queued }) => queued)).toEqual([7, 5]);
  });

  it('refuses none of a tenant alone for places that are kept from it', async () => {
    queue.room = 2;
    queue.opens = true;
    for (const name of ['1', '2', '3', '4', '5']) void wait(name);
    expect(await wait('6')).toBeInstanceOf(Unserved);
    void wait('b', { tenant: b });
    expect(queue.longest(9).map(({ queued }) => queued)).toEqual([4, 1]);
  });

  it('counts by weight', async () => {
    queue = newQueue({ capacity: 6 });
    const heavy = tenant('heavy', 2);
    for (let i = 0; i < 4; i += 1) void wait('heavy', { tenant: heavy });
    for (let i = 0; i < 2; i += 1) void wait('a');
    expect(await wait('a')).toBeInstanceOf(Unserved);
    expect(await wait('heavy', { tenant: heavy })).toBeInstanceOf(Unserved);
    expect(queue.longest(9).map(({ queued }) => queued)).toEqual([4, 2]);
  });

  it('makes room for a better band, and none for a worse one', async () => {
    for (const name of ['1', '2', '3']) void wait(name);
    expect(await wait('worse', { tenant: tenant('c', 1, 1) })).toBeInstanceOf(Unserved);
    void wait('better', { tenant: tenant('d', 1, -1) });
    void wait('better', { tenant: tenant('d', 1, -1) });
    expect(queue.longest(1)).toEqual([{ projectId: 'd', queued: 2, position: 3, waitedMs: 0 }]);
    expect(serve(3)).toEqual(['better', 'better', '1']);
  });
});

describe('foresight', () => {
  beforeEach(() => {
    queue = newQueue({ capacity: 100, foresees: true });
  });

  /** Twenty wait, and one is served every so often. */
  function move(everyMs: number): void {
    for (let i = 0; i < 20; i += 1) void wait(`${i}`);
    for (let i = 0; i < 10; i += 1) {
      vi.advanceTimersByTime(everyMs);
      serve(1);
    }
  }

  it('refuses at once whoever would wait for too long, and tells how long that is', async () => {
    move(68);
    expect(queue.expectedWaitMs(a)).toBeCloseTo(748);
    void wait('the last');
    expect(queue.expectedWaitMs(a)).toBeGreaterThan(750);
    expect(await wait('one more')).toMatchObject({ reason: 'full', comeBackMs: 816 });
    expect(queue.rejected).toEqual({ full: 1, timeout: 0, share: 0 });
  });

  it('does not refuse a tenant because another one has a long line', async () => {
    move(68);
    void wait('the last');
    expect(queue.expectedWaitMs(b)).toBeCloseTo(136);
    void wait('b', { tenant: b });
    expect(queue.rejected.full).toBe(0);
    expect(await wait('one more')).toMatchObject({ reason: 'full', excessive: true });
  });

  it('knows that whoever has nothing here is served before those that have something running', async () => {
    move(68);
    expect(queue.expectedWaitMs(b)).toBeCloseTo(136);
    queue.counters.charge(a, { prompt: 10, output: 0 });
    expect(queue.expectedWaitMs(b)).toBeCloseTo(68);
    void wait('a newcomer', { tenant: b });
    expect(serve(1)).toEqual(['a newcomer']);
  });

  it('refuses at once whoever would wait for those that are too many inside', async () => {
    move(50);
    expect(queue.expectedWaitMs(a)).toBeCloseTo(550);
    queue.room = -20;
    expect(queue.expectedWaitMs(a)).toBeCloseTo(1_550);
    expect(await wait('one more')).toMatchObject({ reason: 'full' });
  });

  it('sends nobody away for longer than anybody waits here', async () => {
    move(68);
    queue.room = -40;
    expect(queue.expectedWaitMs(a)).toBeGreaterThan(1_000);
    expect(await wait('one more')).toMatchObject({ comeBackMs: 1_000 });
  });

  it('knows how slow a line is at least before much of it has moved', async () => {
    for (let i = 0; i < 20; i += 1) void wait(`${i}`);
    vi.advanceTimersByTime(400);
    expect(queue.expectedWaitMs(a)).toBeUndefined();
    serve(1);
    expect(queue.expectedWaitMs(a)).toBeCloseTo(1_000);
    expect(await wait('one more')).toBeInstanceOf(Unserved);
  });

  it('knows how fast a line moves in which each of many has one request', () => {
    const running: (() => void)[] = [];
    const used = { prompt: 1, output: 0 };
    for (let i = 0; i < 40; i += 1) {
      const who = tenant(`t${i}`);
      const claim = () => {
        if (running.length === 2) return undefined;
        const charge = queue.counters.charge(who, used);
        running.push(() => queue.counters.settle(charge, used));
        return 'served';
      };
      void queue.wait({ tenant: who }, claim, new AbortController().signal);
    }
    for (let i = 0; i < 20; i += 1) {
      queue.pump();
      vi.advanceTimersByTime(20);
      running.shift()!();
    }
    expect(queue.expectedWaitMs(tenant('t0'))).toBeCloseTo(20 * queue.length + 20, -1);
  });

  it('refuses none of a tenant alone that may soon be served faster', async () => {
    move(99);
    queue.room = 8;
    queue.opens = true;
    void wait('late');
    expect(queue.length).toBe(11);
    queue.opens = false;
    expect(await wait('later')).toBeInstanceOf(Unserved);
  });

  it('refuses at once whoever gives up before its turn', async () => {
    move(50);
    expect(await wait('hasty', { deadlineAtMs: performance.now() + 600 })).toBeInstanceOf(Unserved);
    void wait('patient', { deadlineAtMs: performance.now() + 1_000 });
    expect(queue.length).toBe(11);
  });

  it('knows nothing of a line that has dispersed, and nothing before it has moved', () => {
    move(50);
    serve(100);
    expect(queue.length).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect(queue.expectedWaitMs(a)).toBeUndefined();
    room = 0;
    for (let i = 0; i < 100; i += 1) void wait(`${i}`);
    expect(queue.length).toBe(100);
    expect(queue.expectedWaitMs(a)).toBeUndefined();
  });
});
