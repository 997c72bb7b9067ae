import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { dropEvent, holdEvent, leaveEvent } from './large-events.ts';

const MIB = 1024 * 1024;

/** Streams that tell what they are told. */
function streams(count: number) {
  const told: string[] = [];
  const holders = Array.from({ length: count }, (_, i) => ({
    goOn: () => void told.push(`${i} goes on`),
    giveUp() {
      told.push(`${i} gives up`);
      dropEvent(this);
    },
  }));
  return { told, holders };
}

/** A client with so much in front of it. */
function slowClient(mib: number) {
  return {
    untakenBytes: mib * MIB,
    isGone: false,
    write: () => false,
    drained: async () => {},
    destroy() {
      this.isGone = true;
      this.untakenBytes = 0;
    },
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('has large events wait for one another where there is no room for all, but for the first', () => {
  const { told, holders } = streams(5);
  const hold = (mib: number) => holders.map((holder) => holdEvent(holder, mib * MIB));
  expect(hold(12)).toEqual([true, true, true, true, true]);
  expect(hold(13)).toEqual([true, true, true, false, false]);
  expect(hold(15)).toEqual([true, false, false, false, false]);

  dropEvent(holders[0]!);
  expect(told).toEqual([1, 2, 3, 4].map((i) => `${i} goes on`));
  expect(holders.slice(1).map((holder) => holdEvent(holder, 16 * MIB))).toEqual([true, true, true, false]);
  // Their events have ended, and small ones have begun.
  expect(holders.slice(1).map((holder) => holdEvent(holder, MIB))).toEqual([true, true, true, true]);
  expect(hold(12)).toEqual([true, true, true, true, true]);
  for (const holder of holders) dropEvent(holder);
});

it('lets only the next one go on where there is still no room', () => {
  const { told, holders } = streams(6);
  for (const holder of holders) holdEvent(holder, 13 * MIB);
  for (const holder of holders) holdEvent(holder, 16 * MIB);
  dropEvent(holders[0]!);
  expect(told).toEqual(['1 goes on']);
  dropEvent(holders[1]!);
  expect(told).toEqual(['1 goes on', '2 goes on']);
  for (const holder of holders) dropEvent(holder);
});

it('counts what clients are slow to take, and cuts them off only where others have waited for long', () => {
  const clients = Array.from({ length: 5 }, () => slowClient(14));
  for (const client of clients) leaveEvent(client, 14 * MIB);
  vi.advanceTimersByTime(60_000);
  const { told, holders } = streams(2);
  const hold = () => holders.map((holder) => holdEvent(holder, 2 * MIB));
  expect(hold()).toEqual([false, false]);
  vi.advanceTimersByTime(9_000);
  expect(clients.some(({ isGone }) => isGone)).toBe(false);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(clients.map(({ isGone }) => isGone)).toEqual([true, false, false, false, false]);
  expect(told).toEqual(['0 goes on', '1 goes on']);
  expect(hold()).toEqual([true, true]);
  expect(vi.getTimerCount()).toBe(0);
  for (const holder of holders) dropEvent(holder);
  for (const client of clients) client.untakenBytes = 0;
});

it('goes on soon after a client has taken what it had', () => {
  const clients = Array.from({ length: 5 }, () => slowClient(14));
  for (const client of clients) leaveEvent(client, 14 * MIB);
  const { told, holders } = streams(1);
  expect(holdEvent(holders[0]!, 2 * MIB)).toBe(false);
  clients[3]!.untakenBytes = 100;
  vi.advanceTimersByTime(200);
  expect(told).toEqual(['0 goes on']);
  dropEvent(holders[0]!);
  for (const client of clients) client.untakenBytes = 0;
});

it('gives up on the first where it trickles in while others wait, and on nobody else', () => {
  const { told, holders } = streams(6);
  for (const holder of holders) holdEvent(holder, 12 * MIB);
  vi.advanceTimersByTime(29_000);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(told[0]).toBe('0 gives up');
  expect(told.slice(1).every((what) => what.endsWith('goes on'))).toBe(true);
  for (const holder of holders) dropEvent(holder);
  expect(vi.getTimerCount()).toBe(0);
});
