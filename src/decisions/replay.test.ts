import { expect, test } from 'vitest';
import type { DecisionView } from './decision-view.ts';
import { replay } from './replay.ts';

const START = Date.parse('2026-01-01T00:00:00.000Z');

/** A request every 100 ms, all of which went to `dear`, which answers in 50 ms. */
function record(i: number, candidates = ['dear', 'cheap']): DecisionView {
  const price = (usd: number) => ({
    inputUsdPerMTok: usd,
    cachedInputUsdPerMTok: usd,
    outputUsdPerMTok: usd,
  });
  return {
    id: `dec_${i}`,
    requestId: `req_${i}`,
    at: new Date(START + 100 * i + 80).toISOString(),
    model: 'm',
    endpoint: 'chat',
    request: {
      promptTokens: 1_000,
      maxOutputTokens: 100,
      stream: true,
      tenant: i % 2 === 0 ? 'a' : 'b',
      session: undefined,
      blocks: '',
      blockTokens: 128,
      constraints: {},
      sloTtftMs: undefined,
      difficulty: undefined,
      judgedBy: undefined,
      enoughBelow: undefined,
    },
    refused: [],
    trials: [],
    choices: [
      {
        policy: 'round-robin',
        afterMs: 0,
        chosen: 'dear',
        candidates: candidates.map((id) => ({
          id,
          ready: true,
          inFlight: 0,
          price: price(id === 'dear' ? 10 : 1),
          score: 0,
          parts: {},
          predicted: null,
          sameReplyUsd: null,
        })),
        passedOver: [],
      },
    ],
    observed: {
      outcome: 'ok',
      status: 200,
      code: undefined,
      deployment: 'dear',
      attempts: [],
      queuedMs: 0,
      ttftMs: 50,
      tpotMs: 1,
      durationMs: 80,
      promptTokens: 1_000,
      cachedTokens: 0,
      completionTokens: 31,
    },
  };
}

test('another policy decides again, and what that would have cost is told beside what was', () => {
  const records = Array.from({ length: 50 }, (_, i) => record(i));
  const { decisions, agreement, recorded, replayed } = replay(records, 'lowest-cost', () => 0.5);
  expect(decisions).toBe(50);
  expect(agreement).toBe(0);
  expect(recorded.costUsd).toBeCloseTo((50 * 1_031 * 10) / 1e6, 6);
  expect(replayed.costUsd).toBeCloseTo((50 * 1_031 * 1) / 1e6, 6);
  expect([...replayed.shares]).toEqual([['cheap', 50]]);
  expect(recorded.goodput).toBe(1);
  expect(recorded.fairness).toBeGreaterThan(0.95);
});

test('times are predicted from what was observed', () => {
  const records = Array.from({ length: 300 }, (_, i) => record(i));
  const { recorded } = replay(records, 'round-robin', () => 0.5);
  expect(recorded.ttftP50Ms).toBeGreaterThan(30);
  expect(recorded.ttftP50Ms).toBeLessThan(80);
});

test('decisions without a choice are counted by nobody, and lines in any order are replayed in time', () => {
  const records = [record(3), record(1, ['dear']), { ...record(2), choices: [] }, record(0)];
  expect(replay(records, 'balanced', () => 0.5).decisions).toBe(2);
  expect(replay([], 'balanced', () => 0.5)).toMatchObject({ decisions: 0, agreement: 0 });
});
