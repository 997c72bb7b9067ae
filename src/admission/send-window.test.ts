import { beforeEach, describe, expect, it } from 'vitest';
import { type Flight, SendWindow } from './send-window.ts';

const SLOW_MS = 30;
let nowMs: number;
let window: SendWindow;

beforeEach(() => {
  nowMs = 0;
  window = new SendWindow(SLOW_MS, () => nowMs);
});

/** Sends as many as it takes, and has all of them answered after so long. @returns How many. */
function round(tookMs: number): number {
  const flights: Flight[] = [];
  while (window.isOpen) flights.push(window.sent());
  nowMs += tookMs;
  for (const flight of flights) window.answered(flight);
  return flights.length;
}

describe('SendWindow', () => {
  it('begins with few, and takes more as long as answers are quick, up to a bound', () => {
    const sizes = Array.from({ length: 60 }, () => round(5));
    expect(sizes[0]).toBe(8);
    expect(sizes[1]).toBeGreaterThan(8);
    expect(sizes.at(-1)).toBe(48);
  });

  it('halves once for answers that are slow together, and goes no lower than where it began', () => {
    while (round(5) < 48);
    expect(round(SLOW_MS + 1)).toBe(48);
    expect(round(SLOW_MS + 1)).toBe(24);
    for (let i = 0; i < 5; i++) round(SLOW_MS + 1);
    expect(round(5)).toBe(8);
  });

  it('learns nothing from answers while fewer are asked for', () => {
    for (let i = 0; i < 100; i++) window.answered(window.sent());
    expect(round(5)).toBe(8);
  });

  it('begins again with few after a while without anything to send', () => {
    while (round(5) < 48);
    nowMs += 2_000;
    expect(round(5)).toBe(8);
  });
});
