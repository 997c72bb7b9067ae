import { beforeEach, describe, expect, it } from 'vitest';
import { ConcurrencyLimit } from './concurrency-limit.ts';
import { Headroom, type Stay } from './headroom.ts';
import type { Tenant } from './tenant.ts';

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
  it('gives one tenant alone all there is', () => {
    expect(fill(loud)).toBe(40);
  });

  it('keeps some room for another one that was there of late', () => {
    headroom.leave(enter(quiet));
    limit.give();
    const most = fill(loud);
    expect(most).toBe(headroom.held);
    expect(most).toBeLessThan(40);
    expect(headroom.hasRoomFor(quiet, false)).toBe(true);
    nowMs += 61_000;
    expect(fill(loud)).toBe(40 - most);
  });

  it('keeps none from tenants that all have much to do', () => {
    enter(quiet, true);
    expect(fill(loud)).toBe(39);
  });

  it('keeps none from tenants that have little themselves, even above the knee', () => {
    const few = ['a', 'b', 'c', 'd', 'e'].map((id) => tenant(id));
    for (let i = 0; i < 3; i += 1)
      for (const one of few) {
        expect(headroom.hasRoomFor(one, false)).toBe(true);
        enter(one);
      }
    expect(limit.inFlight).toBeGreaterThan(headroom.held);
  });

  it('lets nobody in who has much, as long as somebody waits for a first token longer than is usual', () => {
    predictedMs = 100;
    const waiting = enter(quiet);
    const own = [enter(loud, true), enter(loud, true)];
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
    headroom.leave(enter(tenant('worse', 1)));
    limit.give();
    expect(fill(loud)).toBe(40);
    open(40);
    headroom.leave(enter(tenant('better', -1)));
    limit.give();
    expect(fill(loud)).toBeLessThan(40);
  });

  it('gives whoever takes less than its share in any case what there is', () => {
    enter(quiet);
    fill(loud);
    for (; limit.free; ) {
      expect(headroom.hasRoomFor(quiet, true)).toBe(true);
      enter(quiet);
    }
    expect(headroom.hasRoomFor(quiet, true)).toBe(false);
  });

  it.each([1, 2, 3])('has a backend with %i places used', (places) => {
    open(places);
    headroom.leave(enter(quiet));
    limit.give();
    expect(fill(loud)).toBe(places);
  });
});
