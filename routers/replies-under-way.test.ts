import { expect, test } from 'vitest';
import { type NextPrompt, RepliesUnderWay } from './replies-under-way.ts';

const PROMPT: NextPrompt = {
  nowMs: 1_000,
  queuedMs: 0,
  ownMs: 400,
  tpotMs: 25,
  tpotAimMs: 50,
  outputTokens: 100,
};

function replies(...beganAtMs: number[]): RepliesUnderWay {
  const all = new RepliesUnderWay();
  for (const atMs of beganAtMs) all.begin({}, 0, atMs);
  return all;
}

test('a reply that has just begun is in more danger than one that has drawn many tokens', () => {
  const young = replies(990).endangeredBy(PROMPT, 0);
  expect(young).toBeGreaterThan(0.05);
  expect(replies(0).endangeredBy(PROMPT, 0)).toBe(0);
  expect(replies(990, 990).endangeredBy(PROMPT, 0)).toBeCloseTo(2 * young);
});

test('what is read before takes the slack that a prompt would have had', () => {
  const one = replies(500);
  expect(one.endangeredBy(PROMPT, 0)).toBe(0);
  expect(one.endangeredBy({ ...PROMPT, queuedMs: 700 }, 0)).toBeGreaterThan(0);
});

test('a reply that was disturbed is spared', () => {
  const disturbed = replies(0);
  disturbed.begin({}, 800, 990);
  const calm = replies(0);
  calm.begin({}, 0, 990);
  expect(disturbed.endangeredBy(PROMPT, 0)).toBeGreaterThan(1.5 * calm.endangeredBy(PROMPT, 0));
});

test('replies that have yet to begin count, long ones less, and those that have ended do not', () => {
  const all = new RepliesUnderWay();
  const waiting = all.endangeredBy(PROMPT, 1);
  expect(waiting).toBeGreaterThan(0);
  expect(all.endangeredBy({ ...PROMPT, outputTokens: 1_000 }, 1)).toBeCloseTo(waiting / 10);
  const key = {};
  all.begin(key, 0, 1_000);
  all.end(key);
  expect(all.endangeredBy(PROMPT, 0)).toBe(0);
});

test('no more are endangered than there are, however slow the deployment is', () => {
  expect(replies(999, 999).endangeredBy({ ...PROMPT, ownMs: 1e6, tpotMs: 200 }, 1)).toBe(3);
});
