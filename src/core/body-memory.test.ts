import { describe, expect, it } from 'vitest';
import { bodyMemory, holdBody, releaseBody } from './body-memory.ts';

const LONG = 100_000;

function filled(sizeBytes: number, byte: number): Buffer {
  return bodyMemory(sizeBytes).fill(byte);
}

describe('memory of a body', () => {
  it.each([0, 1, 1_000, 16_383, 16_384, 16_385, 131_072, 131_073, 1_048_576, 1_048_577])(
    'has %i bytes',
    (size) => {
      expect(bodyMemory(size).length).toBe(size);
    },
  );

  it('is its own also where it is short, and none of the pool that chunks come from', () => {
    const bodies = Array.from({ length: 300 }, (_, i) => filled(1_000 + i, i % 256));
    expect(bodies.every((body, i) => body.every((byte) => byte === i % 256))).toBe(true);
    expect(bodies.some(({ buffer }) => buffer === Buffer.allocUnsafe(1).buffer)).toBe(false);
    for (const body of bodies) releaseBody(body);
    expect(bodies.every((body, i) => body.length === 1_000 + i)).toBe(true);
  });

  it('is used again once nobody holds it', () => {
    const first = filled(LONG, 1);
    const { buffer } = first;
    releaseBody(first);
    const second = bodyMemory(LONG + 1);
    expect(buffer.byteLength).toBe(0);
    // What is there still is of the first.
    expect(second[0]).toBe(1);
    releaseBody(second);
  });

  it('is nobody else’s while it is held, by whatever view', () => {
    const body = filled(LONG, 7);
    const part = body.subarray(50_000);
    holdBody(part);
    releaseBody(body);
    const others = Array.from({ length: 100 }, () => filled(LONG, 8));
    expect(part.every((byte) => byte === 7)).toBe(true);
    releaseBody(part);
    for (const other of others) releaseBody(other);
    expect(part.length).toBe(0);
  });

  it('shows nothing to whoever comes too late', () => {
    const body = filled(LONG, 7);
    const part = body.subarray(10);
    releaseBody(body);
    const next = filled(LONG, 8);
    expect([body.length, part.length, part[0], body.toString(), body.indexOf(8)]).toEqual([
      0,
      0,
      undefined,
      '',
      -1,
    ]);
    // Once more than there are holders.
    releaseBody(body);
    releaseBody(part);
    expect(next.every((byte) => byte === 8)).toBe(true);
    releaseBody(next);
  });

  it('is given back at once where it is too long to be kept', () => {
    const body = filled(5_000_000, 7);
    const part = body.subarray(10);
    const usedBytes = process.memoryUsage().arrayBuffers;
    releaseBody(body);
    expect(usedBytes - process.memoryUsage().arrayBuffers).toBeGreaterThanOrEqual(5_000_000);
    expect([body.length, part.length]).toEqual([0, 0]);
  });

  it('is left alone where it is of other origin', () => {
    for (const other of [Buffer.alloc(LONG, 7), Buffer.from('short'), bodyMemory(100).fill(7)]) {
      holdBody(other);
      releaseBody(other);
      releaseBody(other);
      expect(other.length).toBeGreaterThan(0);
    }
  });
});
