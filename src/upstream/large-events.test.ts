import { expect, it } from 'vitest';
import { dropEvent, holdEvent } from './large-events.ts';

const MIB = 1024 * 1024;

it('has large events wait for one another where there is no room for all, but for the first', () => {
  const goingOn: number[] = [];
  const holders = Array.from({ length: 5 }, (_, i) => ({ goOn: () => goingOn.push(i) }));
  const hold = (mib: number) => holders.map((holder) => holdEvent(holder, mib * MIB));
  expect(hold(12)).toEqual([true, true, true, true, true]);
  expect(hold(13)).toEqual([true, true, true, false, false]);
  expect(hold(15)).toEqual([true, false, false, false, false]);

  dropEvent(holders[0]!);
  expect(goingOn).toEqual([1, 2, 3, 4]);
  expect(holders.slice(1).map((holder) => holdEvent(holder, 16 * MIB))).toEqual([true, true, true, false]);
  // Their events have ended, and small ones have begun.
  expect(holders.slice(1).map((holder) => holdEvent(holder, MIB))).toEqual([true, true, true, true]);
  expect(hold(12)).toEqual([true, true, true, true, true]);
  for (const holder of holders) dropEvent(holder);
});

it('lets only the next one go on where there is still no room', () => {
  const goingOn: number[] = [];
  const holders = Array.from({ length: 6 }, (_, i) => ({ goOn: () => goingOn.push(i) }));
  for (const holder of holders) holdEvent(holder, 13 * MIB);
  dropEvent(holders[0]!);
  expect(goingOn).toEqual([1]);
  for (const holder of holders) dropEvent(holder);
});
