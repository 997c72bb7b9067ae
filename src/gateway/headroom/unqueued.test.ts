import { expect, it } from 'vitest';
import { Unqueued } from './unqueued.ts';

/** Of a backend with so many places, of which each is free again after a second; whoever asks has as much as is allowed inside. */
function insideAfter(replies: number, places: number): number {
  let nowMs = 0;
  const bound = new Unqueued(() => nowMs);
  let inFlight = 0;
  for (let i = 0; i < replies; i += 1) {
    for (; bound.allows(inFlight); inFlight += 1) bound.enter();
    nowMs += 1_000 / places;
    const waitsMs = Math.max(0, inFlight - places) * (1_000 / places);
    const entry = { startedAtMs: nowMs, among: inFlight };
    bound.answered('first-token', 100 + waitsMs, 100, entry);
    bound.leave();
    inFlight -= 1;
  }
  return inFlight + 1;
}

it.each([4, 16, 64])(
  'lets as many in as keep a backend with %i places busy, and few that queue there',
  (places) => {
    expect(insideAfter(2_000, places)).toBeGreaterThanOrEqual(places * 0.9);
    expect(insideAfter(2_000, places)).toBeLessThan(places * 1.5 + 1);
  },
);

it('opens by doubling each time that all who are inside have begun', () => {
  let nowMs = 0;
  const bound = new Unqueued(() => nowMs);
  let inside = 0;
  const rounds: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const before = inside;
    for (; bound.allows(inside); inside += 1) bound.enter();
    nowMs += 100;
    for (let i = before; i < inside; i += 1)
      bound.answered('first-token', 100, 100, { startedAtMs: nowMs, among: i + 1 });
    rounds.push(inside);
  }
  expect(rounds).toEqual([4, 8, 16, 32, 64]);
});

it('opens further until somebody was late', () => {
  let nowMs = 0;
  const bound = new Unqueued(() => nowMs);
  const answer = (tookMs: number) => {
    nowMs += 10;
    bound.answered('first-token', tookMs, 100, { startedAtMs: nowMs, among: 4 });
  };
  bound.enter();
  expect(bound.allows(3)).toBe(true);
  expect(bound.allows(4)).toBe(false);
  expect([bound.opensTo(4), bound.opensTo(5)]).toEqual([false, true]);
  for (let i = 0; i < 8; i += 1) answer(100);
  expect(bound.allows(7)).toBe(true);
  for (let i = 0; i < 16; i += 1) answer(1_000);
  expect(bound.opensTo(1_000)).toBe(false);
  expect(bound.allows(8)).toBe(false);
});

it('lets more in where nothing is heard, each after a longer while, until something is', () => {
  let nowMs = 0;
  let inside = 0;
  const bound = new Unqueued(() => nowMs);
  const letIn = (forMs: number) => {
    for (const untilMs = nowMs + forMs; nowMs < untilMs; nowMs += 10)
      if (bound.allows(inside) || bound.trickles) {
        bound.enter();
        inside += 1;
      }
    return inside;
  };
  expect(letIn(1_000)).toBeGreaterThan(6);
  expect(letIn(1_000)).toBeLessThan(14);
  expect(letIn(20_000)).toBeLessThan(40);
  const before = inside;
  bound.answered('first-token', 100, 100, { startedAtMs: nowMs, among: inside });
  expect(letIn(1_000)).toBeGreaterThan(before + 1);
});
