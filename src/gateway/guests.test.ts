import { beforeEach, describe, expect, it } from 'vitest';
import { Guests } from './guests.ts';
import type { Tenant } from './tenant.ts';

let nowMs: number;
let guests: Guests;
let inFlight: number;
let stayMs: number;

const tenant = (projectId: string, weight = 1, priority = 0): Tenant => ({ projectId, weight, priority });

beforeEach(() => {
  nowMs = 0;
  inFlight = 0;
  stayMs = 100;
  guests = new Guests(
    () => nowMs,
    () => stayMs,
  );
});

function enter(who: Tenant, times = 1, backlog = false): void {
  for (let i = 0; i < times; i += 1) guests.enter(guests.of(who), backlog);
  inFlight += times;
}

const isHeavy = (who: Tenant) => guests.isHeavy(guests.of(who), inFlight);

describe('Guests', () => {
  it('know who is heavy from its first requests, where others send and have far fewer', () => {
    enter(tenant('quiet'));
    enter(tenant('loud'), 4);
    expect([isHeavy(tenant('loud')), isHeavy(tenant('quiet'))]).toEqual([true, false]);
  });

  it('take nobody for heavy for what has come little by little, or beside as many of others', () => {
    enter(tenant('other'));
    for (let i = 0; i < 5; i += 1) {
      enter(tenant('slow'));
      nowMs += 2_000;
    }
    expect(isHeavy(tenant('slow'))).toBe(false);
    enter(tenant('other'), 4);
    enter(tenant('slow'), 4);
    expect([isHeavy(tenant('slow')), isHeavy(tenant('other'))]).toEqual([false, false]);
  });

  it('know who had a line for a while', () => {
    enter(tenant('loud'), 1, true);
    expect(isHeavy(tenant('loud'))).toBe(true);
    nowMs += 6_000;
    expect(isHeavy(tenant('loud'))).toBe(false);
  });

  it('share by weight with their own band and better ones', () => {
    enter(tenant('one', 1));
    expect(guests.shareOf(tenant('one', 1))).toBe(0);
    enter(tenant('three', 3));
    expect(guests.shareOf(tenant('three', 3))).toBe(0.75);
    expect(guests.shareOf(tenant('better', 1, -1))).toBe(0);
    expect(guests.shareOf(tenant('worse', 1, 1))).toBe(0.2);
  });

  it('remember for longer who sends much where replies take long', () => {
    const sendsNowAndThen = (everyMs: number) => {
      for (let i = 0; i < 6; i += 1) {
        nowMs += everyMs;
        enter(tenant('loud'));
      }
      return isHeavy(tenant('loud'));
    };
    enter(tenant('quiet'));
    nowMs = 10_000;
    expect(sendsNowAndThen(1_500)).toBe(false);
    stayMs = 10_000;
    expect(sendsNowAndThen(1_500)).toBe(true);
  });

  it('tell how many inside are those of heavy ones', () => {
    enter(tenant('quiet'), 2);
    enter(tenant('loud'), 5, true);
    expect(guests.insideOfHeavy(inFlight)).toBe(5);
    nowMs = 6_000;
    enter(tenant('quiet'), 4);
    expect(guests.insideOfHeavy(inFlight)).toBe(0);
  });

  it('share with one that was away for long, and with whom it finds there', () => {
    enter(tenant('back'));
    guests.get(tenant('back'))!.inFlight -= 1;
    nowMs = 30_000;
    enter(tenant('other'));
    nowMs = 61_000;
    expect(guests.shareOf(tenant('back'))).toBe(0.5);
  });
});
