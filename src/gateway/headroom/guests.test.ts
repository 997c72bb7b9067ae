import { beforeEach, describe, expect, it } from 'vitest';
import type { Tenant } from '../request/tenant.ts';
import { Guests } from './guests.ts';

let nowMs: number;
let guests: Guests;
let stayMs: number;

const tenant = (projectId: string, weight = 1, priority = 0): Tenant => ({ projectId, weight, priority });

beforeEach(() => {
  nowMs = 0;
  stayMs = 100;
  guests = new Guests(
    () => nowMs,
    () => stayMs,
  );
});

function enter(who: Tenant, times = 1, hasLine = false): void {
  for (let i = 0; i < times; i += 1) guests.enter(guests.of(who), hasLine);
}

const isHeavy = (who: Tenant) => guests.isHeavy(guests.of(who));

describe('Guests', () => {
  it('know who is heavy from its first requests, where others send and have far fewer', () => {
    enter(tenant('quiet'));
    enter(tenant('loud'), 6);
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

  it('know several heavy ones beside a light one, and none that is only not the quietest', () => {
    enter(tenant('quiet'));
    enter(tenant('less quiet'), 3);
    for (const name of ['one', 'two', 'three']) enter(tenant(name), 20);
    expect(['one', 'two', 'three'].map((name) => isHeavy(tenant(name)))).toEqual([true, true, true]);
    expect([isHeavy(tenant('quiet')), isHeavy(tenant('less quiet'))]).toEqual([false, false]);
    expect(guests.heavyWith(guests.of(tenant('one')))).toEqual({ inside: 60, share: 3 / 5 });
  });

  it('know who sends much also while nothing of it is let in', () => {
    enter(tenant('loud'));
    enter(tenant('quiet'), 3);
    for (let i = 0; i < 20; i += 1) guests.asked(tenant('loud'));
    expect(isHeavy(tenant('quiet'))).toBe(false);
    guests.waitsInLine(tenant('loud'));
    expect(isHeavy(tenant('loud'))).toBe(true);
  });

  it('take the many little projects of one organization for as heavy as they are together', () => {
    const project = (organizationId: string, i: number, weight: number): Tenant => ({
      ...tenant(`${organizationId}${i}`, weight),
      organizationId,
    });
    const quiet = project('small', 0, 1);
    const crowd = (weight: number) => {
      enter(quiet);
      const all = Array.from({ length: 10 }, (_, i) => project('large', i, weight));
      for (const one of all) enter(one);
      for (const one of all) guests.asked(one);
      return all.map(isHeavy);
    };
    expect(crowd(1)).not.toContain(true);
    expect(crowd(0.1)).not.toContain(false);
    expect(isHeavy(quiet)).toBe(false);
  });

  it('know whether most comes from heavy ones', () => {
    for (const name of ['one', 'two', 'three']) enter(tenant(name), 3);
    enter(tenant('loud'), 4, true);
    expect(guests.isMostOfHeavy()).toBe(false);
    enter(tenant('loud'), 6);
    expect(guests.isMostOfHeavy()).toBe(true);
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
      for (let i = 0; i < 8; i += 1) {
        nowMs += everyMs;
        enter(tenant('loud'));
      }
      return isHeavy(tenant('loud'));
    };
    enter(tenant('quiet'));
    nowMs = 10_000;
    expect(sendsNowAndThen(1_000)).toBe(false);
    stayMs = 10_000;
    expect(sendsNowAndThen(1_000)).toBe(true);
  });

  it('tell how many inside are those of heavy ones', () => {
    enter(tenant('quiet'), 2);
    enter(tenant('loud'), 5, true);
    expect(guests.insideOfHeavy()).toBe(5);
    nowMs = 6_000;
    enter(tenant('quiet'), 4);
    expect(guests.insideOfHeavy()).toBe(0);
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
