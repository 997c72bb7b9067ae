import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { turnTimeMs } from '../../core/turn-clock.ts';
import { ConcurrencyLimit } from '../backend/concurrency-limit.ts';
import type { Tenant } from '../request/tenant.ts';
import { Headroom } from './headroom.ts';
import type { Stay } from './stays.ts';

let nowMs: number;
let limit: ConcurrencyLimit;
let headroom: Headroom;
/** Until a reply begins, of those that come in now. */
let predictedMs: number | undefined;

const tenant = (projectId: string, priority = 0): Tenant => ({ projectId, weight: 1, priority });
const loud = tenant('loud');
const quiet = tenant('quiet');

beforeEach(() => {
  nowMs = 0;
  predictedMs = undefined;
  open(40);
});

function open(max: number): void {
  limit = new ConcurrencyLimit({ initial: max, max }, () => nowMs);
  headroom = new Headroom(limit, () => nowMs);
}

function answer(stay: Stay, tookMs: number, among = limit.inFlight): void {
  headroom.begun(stay);
  nowMs += 1;
  headroom.answered(
    stay,
    'first-token',
    { startedAtMs: nowMs, among, tookMs, predictedMs: 100 },
    true,
    false,
  );
}

function leave(stay: Stay): void {
  headroom.leave(stay);
  limit.give();
}

function enter(who: Tenant, backlog = false): Stay {
  limit.take();
  return headroom.enter(who, backlog, () => predictedMs);
}

/** As many as it gets. */
function fill(who: Tenant): number {
  let count = 0;
  for (; headroom.hasRoomFor(who, false); count += 1) enter(who, count > 0);
  return count;
}

describe('Headroom', () => {
  it('gives one tenant alone all there is step by step, but no more than begin without waiting', () => {
    const insideAfter = (replies: number, tookMs: number) => {
      for (let i = 0; i < replies; i += 1) {
        answer(enter(loud), tookMs);
        fill(loud);
      }
      return limit.inFlight;
    };
    open(160);
    expect(insideAfter(1, 100)).toBeLessThan(70);
    expect(headroom.opens).toBe(true);
    expect(insideAfter(30, 600)).toBeLessThan(160);
    expect(headroom.opens).toBe(false);
    open(160);
    expect(insideAfter(80, 100)).toBeGreaterThanOrEqual(160);
  });

  it('promises more room soon to nobody who is not alone', () => {
    open(160);
    leave(enter(quiet));
    enter(loud, true);
    expect(headroom.opens).toBe(false);
  });

  it('lets one tenant alone in one by one, where nothing is heard of how its requests fare', () => {
    expect(fill(loud)).toBe(4);
    for (let i = 0; i < 60; i += 1) {
      nowMs += 1_000;
      expect(fill(loud)).toBeLessThan(2);
    }
    expect(limit.inFlight).toBe(40);
  });

  it('lets nobody more in where one waits for longer than is usual, though nothing is heard', () => {
    for (let i = 0; i < 4; i += 1) answer(enter(loud), 100);
    while (headroom.hasRoomFor(loud, false)) enter(loud);
    const before = limit.inFlight;
    for (let ms = 0; ms < 3_000; ms += 50) {
      nowMs += 50;
      if (headroom.hasRoomFor(loud, false)) enter(loud);
    }
    expect(limit.inFlight).toBe(before);
  });

  it('does not let in a newcomer that sends much, beside one that was there before it', () => {
    limit = new ConcurrencyLimit({ initial: 256, max: 512 }, () => nowMs);
    headroom = new Headroom(limit, () => nowMs);
    enter(loud);
    enter(quiet);
    expect(fill(loud)).toBeLessThan(12);
  });

  it('lets in one at a time of those that have much, until it is known what is usual', () => {
    predictedMs = 100;
    headroom.begun(enter(loud, true));
    const askQuietly = () => {
      const stay = enter(quiet);
      nowMs += 100;
      answer(stay, 100);
      leave(stay);
    };
    askQuietly();
    const first = enter(loud, true);
    expect(headroom.hasRoomFor(loud, false)).toBe(false);
    headroom.begun(first);
    expect(headroom.hasRoomFor(loud, false)).toBe(true);
    for (let i = 0; i < 10; i += 1) askQuietly();
    enter(loud, true);
    expect(headroom.hasRoomFor(loud, false)).toBe(true);
  });

  it('keeps some room for another one that was there of late', () => {
    leave(enter(quiet));
    const most = fill(loud);
    expect(most).toBe(headroom.held);
    expect(most).toBeLessThan(40);
    expect(headroom.hasRoomFor(quiet, false)).toBe(true);
    nowMs += 61_000;
    expect(fill(loud)).toBeGreaterThan(0);
  });

  it('lets in whoever has little, where a loud one has too much inside as is found out now', () => {
    leave(enter(quiet));
    for (let i = 0; i < 30; i += 1) enter(loud, true);
    expect(headroom.hasRoomFor(quiet, false)).toBe(true);
    for (let i = 0; i < 16; i += 1) {
      nowMs += 10;
      limit.answered('first-token', 5_000, 100, { startedAtMs: nowMs, among: 20 });
    }
    expect(limit.limit).toBe(10);
    expect(limit.free).toBe(false);
    expect([headroom.hasRoomFor(loud, false), headroom.hasRoomFor(quiet, false)]).toEqual([false, true]);
    for (let i = 0; i < 10; i += 1) enter(tenant(`other${i}`));
    expect(headroom.hasRoomFor(quiet, false)).toBe(false);
  });

  it('keeps none from tenants that all have much to do, as long as it begins without waiting', () => {
    enter(quiet, true);
    expect(fill(loud)).toBe(3);
    for (let i = 0; i < 30; i += 1) {
      answer(enter(loud, true), 100);
      fill(loud);
    }
    expect(limit.inFlight).toBeGreaterThanOrEqual(40);
  });

  it('keeps none from tenants that have little themselves, even above the knee', () => {
    const few = ['a', 'b', 'c', 'd', 'e'].map((id) => tenant(id));
    for (let i = 0; i < 3; i += 1)
      for (const one of few) {
        nowMs += 1_000;
        expect(headroom.hasRoomFor(one, false)).toBe(true);
        enter(one);
      }
    expect(limit.inFlight).toBeGreaterThan(headroom.held);
  });

  it('is not filled by many of whom nobody knows yet that they are heavy, and open to whoever has less inside', () => {
    const many = Array.from({ length: 12 }, (_, i) => tenant(`loud${i}`));
    enter(quiet);
    for (let round = 0; round < 3; round += 1)
      for (const one of many) if (headroom.hasRoomFor(one, false)) enter(one);
    expect(limit.inFlight).toBe(13);
    enter(loud);
    enter(loud);
    expect([loud, many[0]!].map((one) => headroom.hasRoomFor(one, false))).toEqual([false, true]);
    expect(headroom.hasRoomFor(tenant('new'), false)).toBe(true);
  });

  it('lets nobody in who has much, as long as somebody waits for a first token longer than is usual', () => {
    predictedMs = 100;
    leave(enter(loud, true));
    for (let i = 0; i < 10; i += 1) {
      const stay = enter(quiet);
      nowMs += 100;
      answer(stay, 100, 8);
      leave(stay);
    }
    const waiting = enter(quiet);
    const own = Array.from({ length: 5 }, () => enter(loud, true));
    expect(limit.inFlight).toBeLessThan(headroom.held);
    expect(headroom.hasRoomFor(loud, false)).toBe(true);
    nowMs += 300;
    expect(headroom.hasRoomFor(loud, false)).toBe(false);
    expect(headroom.hasRoomFor(quiet, false)).toBe(true);
    headroom.begun(waiting);
    expect(headroom.hasRoomFor(loud, false)).toBe(false);
    for (const stay of own) headroom.begun(stay);
    expect(headroom.hasRoomFor(loud, false)).toBe(true);
  });

  it('keeps none for worse bands', () => {
    leave(enter(tenant('worse', 1)));
    nowMs += 3_000;
    expect(fill(loud)).toBeGreaterThan(headroom.held);
    open(40);
    leave(enter(tenant('better', -1)));
    expect(fill(loud)).toBe(headroom.held);
  });

  it('gives several heavy ones together no more than one, whoever of them comes', () => {
    const many = Array.from({ length: 12 }, (_, i) => tenant(`loud${i}`));
    leave(enter(quiet));
    for (const one of many) leave(enter(one, true));
    let inside = 0;
    for (let round = 0; round < 3; round += 1)
      for (const one of many) {
        if (!headroom.hasRoomFor(one, true)) continue;
        enter(one, true);
        inside += 1;
      }
    expect(inside).toBe(headroom.held);
    expect(headroom.hasRoomFor(quiet, false)).toBe(true);
  });

  it('knows for heavy who has a line and nothing inside', () => {
    leave(enter(quiet));
    leave(enter(loud));
    fill(tenant('other'));
    expect(headroom.hasRoomFor(loud, false)).toBe(true);
    expect(headroom.hasRoomFor(loud, true)).toBe(false);
  });

  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
  ])('keeps one place of few, and uses the others: of %i places %i', (places, used) => {
    open(places);
    leave(enter(quiet));
    expect(fill(loud)).toBe(used);
  });

  describe('where many come of whom nobody knows that they are heavy', () => {
    const many = Array.from({ length: 12 }, (_, i) => tenant(`loud${i}`));

    /** All have so many inside at once, which are answered. */
    function come(each: number, tookMs: number, hasLine: boolean): void {
      for (let round = 0; round < 4; round += 1) {
        const stays = many.flatMap((one) => Array.from({ length: each }, () => enter(one, hasLine)));
        nowMs += 300;
        for (const [i, stay] of stays.entries()) answer(stay, tookMs, i + 1);
        nowMs += 1_000;
        for (const stay of stays) leave(stay);
      }
    }

    it('keeps nothing free for what they asked for, once they wait', () => {
      open(28);
      leave(enter(quiet));
      come(2, 100, false);
      const before = headroom.held;
      for (const one of many) headroom.hasRoomFor(one, true);
      expect(headroom.held).toBeGreaterThan(2 * before);
    });

    it('does not go by how others fared beside them', () => {
      leave(enter(quiet));
      come(2, 300, false);
      expect(headroom.held).toBeGreaterThan(20);
      come(3, 300, true);
      expect(headroom.held).toBeLessThan(10);
    });
  });

  it('does not take for late what arrived while this process was at something else', async () => {
    for (let i = 0; i < 10; i += 1) {
      const stay = enter(quiet);
      nowMs += 100;
      answer(stay, 100);
      leave(stay);
    }
    const round = async (tookMs: number, workMs: number) => {
      turnTimeMs();
      const stays = Array.from({ length: headroom.held }, () => enter(loud, true));
      const end = performance.now() + workMs;
      while (performance.now() < end);
      await nextTurn();
      turnTimeMs();
      nowMs += tookMs;
      for (const stay of stays) {
        answer(stay, tookMs, stays.length);
        leave(stay);
      }
    };
    for (let i = 0; i < 12; i += 1) await round(100, 0);
    const before = headroom.held;
    expect(before).toBeGreaterThan(6);
    for (let i = 0; i < 4; i += 1) await round(140, 45);
    expect(headroom.held).toBeGreaterThanOrEqual(before);
    nowMs += 10_000;
    // A busy machine holds up some of them.
    for (let i = 0; i < 200 && headroom.held >= before; i += 1) await round(140, 0);
    expect(headroom.held).toBeLessThan(before);
  });
});
