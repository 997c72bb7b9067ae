import { expect, it } from 'vitest';
import { releaseBody } from '../../core/body-memory.ts';
import { BodyCollector } from './body-collector.ts';

const PIECE_BYTES = 65_536;
const PIECES = 40;
const DECLARED_BYTES = PIECE_BYTES * PIECES;

const piece = (i: number) => Buffer.alloc(PIECE_BYTES, i + 1);
const whole = Buffer.concat(Array.from({ length: PIECES }, (_, i) => piece(i)));

it.each([true, false])(
  'a long body is put together in memory that is given back (pieces are lent: %s)',
  (isLent) => {
    const collector = new BodyCollector(DECLARED_BYTES, isLent);
    for (let i = 0; i < PIECES; i++) {
      const { room } = collector;
      if (room === undefined) collector.push(piece(i));
      else {
        piece(i).copy(room);
        collector.push(room.subarray(0, PIECE_BYTES));
      }
    }
    const body = collector.whole();
    expect(body.equals(whole)).toBe(true);
    releaseBody(body);
    expect(body.length).toBe(0);
  },
);

it('a body of which little has come has no memory for all that it declares', () => {
  const usedBytes = process.memoryUsage().arrayBuffers;
  const collector = new BodyCollector(1_000_000_000, true);
  for (let i = 0; i < 10; i++) collector.push(piece(i));
  expect(collector.room).toBeUndefined();
  expect(process.memoryUsage().arrayBuffers - usedBytes).toBeLessThan(100_000_000);
});

it.each([0, 100, 3_000_000])(
  'a body that is longer than it declares (%i bytes) is counted',
  (declaredBytes) => {
    const collector = new BodyCollector(declaredBytes, true);
    for (let i = 0; i < 2 * PIECES; i++) collector.push(piece(i % PIECES));
    expect(collector.bytes).toBe(2 * DECLARED_BYTES);
  },
);
