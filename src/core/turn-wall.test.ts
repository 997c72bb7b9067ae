import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { turnWallMs } from './turn-wall.ts';

it('is the same within a turn of the event loop, and goes on in the next', async () => {
  await turn();
  const before = turnWallMs();
  while (Date.now() < before + 20);
  expect(turnWallMs()).toBe(before);
  // Not a timer, which on a busy machine is due before the turn has ended.
  await turn();
  expect(turnWallMs()).toBeGreaterThanOrEqual(before + 20);
});
