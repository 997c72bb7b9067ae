import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RequestSettled } from '../core/event.ts';
import { DecisionFile } from './decision-file.ts';
import { decisionView } from './decision-view.ts';
import { RecentDecisions } from './recent-decisions.ts';

const price = (usdPerMTok: number) => ({
  inputUsdPerMTok: usdPerMTok,
  cachedInputUsdPerMTok: 0,
  outputUsdPerMTok: usdPerMTok,
});

function settled(id: string): RequestSettled {
  return {
    type: 'request-settled',
    settlementId: 'dec_1',
    serial: 1,
    caller: undefined,
    costNanoUsd: 0,
    requestId: 'req_1',
    endpoint: 'chat',
    model: 'm',
    stream: true,
    outcome: 'ok',
    status: 200,
    code: undefined,
    cause: undefined,
    deployment: 'a/m',
    attempts: [],
    durationMs: 12.34567,
    queuedMs: 0,
    ttftMs: 5,
    tpotMs: 2,
    usage: { promptTokens: 10, completionTokens: 3, cachedPromptTokens: 4, reasoningTokens: 0 },
    usageMeasured: true,
    decision: {
      id,
      features: {
        promptTokens: 11,
        stream: true,
        blocks: new Int32Array([1, -1]),
        blockTokens: 128,
        sessionKey: 'a client wrote this',
        constraints: { privacy: 'private' },
      },
      refused: [{ deployment: 'cloud/m', obstacle: 'privacy' }],
      trials: [],
      choices: [
        {
          atMs: 100,
          policy: 'balanced',
          ranked: [
            {
              candidate: { id: 'a/m', ready: true, inFlight: 1, price: price(1) },
              score: 0.5,
              parts: { latency: 0.5 },
            },
            {
              candidate: { id: 'b/m', ready: true, inFlight: 9, price: price(2) },
              score: 0.9,
              parts: { latency: 0.9 },
              prediction: { ttftMs: 20, tpotMs: 3, costUsd: 0.01, cachedTokens: 0, outputTokens: 8 },
            },
          ],
          passedOver: [{ deployment: 'c/m', because: 'full' }],
        },
      ],
    },
  };
}

test('the latest decisions are kept and explained, without what clients wrote', () => {
  const recent = new RecentDecisions(2, () => 0);
  for (const id of ['d1', 'd2', 'd3']) recent.observe(settled(id));
  expect(recent.find('d1')).toBeUndefined();
  expect(recent.latest(10).map(({ id }) => id)).toEqual(['d3', 'd2']);
  expect(recent.find('d2')).toMatchObject({
    at: '1970-01-01T00:00:00.000Z',
    refused: [{ deployment: 'cloud/m', obstacle: 'privacy' }],
    trials: [],
    choices: [
      {
        policy: 'balanced',
        chosen: 'a/m',
        // Of ten prompt tokens a remembered four; of b nobody knows of any.
        candidates: [
          { id: 'a/m', score: 0.5, predicted: null, sameReplyUsd: expect.closeTo(9e-6, 12) },
          { id: 'b/m', predicted: { ttftMs: 20 }, sameReplyUsd: expect.closeTo(26e-6, 12) },
        ],
        passedOver: [{ deployment: 'c/m', because: 'full' }],
      },
    ],
    observed: { deployment: 'a/m', ttftMs: 5, cachedTokens: 4, durationMs: 12.346 },
    request: { blocks: 'AQAAAP////8=', constraints: { privacy: 'private' } },
  });
  expect(JSON.stringify(recent.latest(10))).not.toContain('client wrote');
});

/** One deployment and one attempt. */
function plainly(id: string, given: Partial<RequestSettled> = {}): RequestSettled {
  const { decision, ...rest } = settled(id);
  const { features, choices } = decision!;
  const [choice] = choices;
  const { ranked } = choice!;
  const attempt = {
    deployment: 'a/m',
    backend: 'a',
    kind: 'first',
    code: undefined,
    lost: false,
    durationMs: 1,
    usage: rest.usage,
    costNanoUsd: 0,
    wasteNanoUsd: 0,
  } as const;
  return {
    ...rest,
    attempts: [attempt],
    decision: {
      id,
      features: { ...features, blocks: new Int32Array(0), maxOutputTokens: 7, sloTtftMs: 0 },
      refused: [],
      trials: [],
      choices: [{ ...choice!, ranked: [{ ...ranked[0]!, parts: {}, score: 0.25 }], passedOver: [] }],
    },
    ...given,
  };
}

test.each([
  ['answered', {}],
  ['failed', { outcome: 'error', status: 502, code: 'upstream_error', ttftMs: undefined, tpotMs: undefined }],
  ['of an unknown deployment', { deployment: undefined, model: undefined }],
] as const)('a decision without a choice is told as any other: %s', (_, given) => {
  const event = plainly('d1', given);
  const recent = new RecentDecisions(1, () => 5);
  recent.observe(settled('before'));
  recent.observe(plainly('before', { code: 'overloaded', outcome: 'error', ttftMs: 1, durationMs: 9 }));
  recent.observe(event);
  const { decision } = event;
  expect(recent.find('d1')).toEqual(decisionView({ ...event, decision: decision! }, 5));
  recent.observe(settled('after'));
  expect(recent.latest(9).map(({ id }) => id)).toEqual(['after']);
});

test('fewer are kept from now on', () => {
  const recent = new RecentDecisions(2);
  recent.observe(settled('d1'));
  recent.observe(settled('d2'));
  recent.resize(1);
  expect(recent.latest(10).map(({ id }) => id)).toEqual(['d2']);
});

test('every decision is a line of the file', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'decisions-')), 'decisions.jsonl');
  const file = new DecisionFile({ path, onLost: () => expect.unreachable() });
  file.observe(settled('d1'));
  await file.flush();
  file.observe(settled('d2'));
  await file.close();
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).id)).toEqual(['d1', 'd2']);
});

test('a file that has grown large makes room for another', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'decisions-')), 'decisions.jsonl');
  const file = new DecisionFile({ path, maxBytes: 10, onLost: () => expect.unreachable() });
  for (const id of ['d1', 'd2']) {
    file.observe(settled(id));
    await file.flush();
  }
  await file.close();
  expect(JSON.parse(readFileSync(`${path}.1`, 'utf8')).id).toBe('d1');
  expect(JSON.parse(readFileSync(path, 'utf8')).id).toBe('d2');
});

test('what cannot be written is lost and told once', async () => {
  const told: number[] = [];
  const path = join(tmpdir(), 'no-such-directory', 'decisions.jsonl');
  const file = new DecisionFile({ path, onLost: (lost) => told.push(lost) });
  for (const id of ['d1', 'd2']) {
    file.observe(settled(id));
    await file.flush();
  }
  await file.close();
  expect(told).toEqual([1]);
});
