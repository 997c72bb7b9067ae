import { expect, test } from 'vitest';
import type { Embeddings, EmbedRequest } from '../core/encoder.ts';
import type { GenerateRequest } from '../core/request.ts';
import { EmbeddingClassifier } from './embedding-classifier.ts';
import { featureClassifier } from './feature-classifier.ts';
import { difficultyOf, type LearntHead, rawScore } from './learnt-head.ts';

const HEAD: LearntHead = {
  version: 'embedding-0',
  encoder: 'e',
  unit: 0.1,
  bias: 1,
  weights: [10, -10],
  quantiles: [-1, 0, 1],
};
const SIGNAL = new AbortController().signal;

function request(text: string): GenerateRequest {
  const messages = [
    { role: 'user', content: [{ type: 'text', text: 'before' }] },
    { role: 'assistant', content: [] },
    { role: 'user', content: [{ type: 'text', text }] },
  ];
  return {
    id: 'r',
    model: 'auto',
    prompts: [{ kind: 'chat', messages }],
    tools: [],
    wire: { body: Buffer.from(text) },
  } as unknown as GenerateRequest;
}

function classifier(
  answer: (asked: EmbedRequest, signal: AbortSignal) => Promise<number[]>,
  options: { readonly timeoutMs?: number; readonly now?: () => number } = {},
) {
  const asked: EmbedRequest[] = [];
  const made = new EmbeddingClassifier({
    head: HEAD,
    timeoutMs: options.timeoutMs ?? 10_000,
    now: options.now ?? (() => 0),
    encoder: {
      async embed(one, { signal }): Promise<Embeddings> {
        asked.push(one);
        const vector = await answer(one, signal!);
        return { endpoint: 'embeddings', vectors: [Float32Array.from(vector)], promptTokens: 1 };
      },
    },
  });
  return { made, asked };
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

test('what the user said last is judged by its embedding', async () => {
  const { made, asked } = classifier(async () => [0.3, 0]);
  expect(await made.consider(request('why?'), SIGNAL)).toEqual({
    difficulty: expect.closeTo(0.7),
    by: 'embedding-0',
  });
  expect(asked[0]).toMatchObject({ inputs: ['why?'], truncateTokens: 256 });
});

test('scores are shares of what was learnt from', () => {
  expect(rawScore(HEAD, Float32Array.of(1, 0.5))).toBeCloseTo(0.6);
  expect([-5, -1, -0.5, 0, 0.5, 1, 7].map((score) => difficultyOf(HEAD, score))).toEqual([
    0, 0, 0.25, 0.5, 0.75, 1, 1,
  ]);
});

test('an encoder that is late or fails is done without, and not waited for again at once', async () => {
  let nowMs = 0;
  const late = classifier((_, signal) => never(signal), { timeoutMs: 5, now: () => nowMs });
  expect(await late.made.consider(request('why?'), SIGNAL)).toBeUndefined();
  expect(late.made.judge(request('why?'))).toEqual(featureClassifier.judge(request('why?')));
  expect(late.made.consider(request('why?'), SIGNAL)).toBeUndefined();
  nowMs = 5_000;
  expect(late.made.consider(request('why?'), SIGNAL)).toBeDefined();
  expect(late.asked).toHaveLength(2);
});

test('a client that leaves says nothing of the encoder', async () => {
  const client = new AbortController();
  const { made } = classifier((_, signal) => never(signal));
  const judging = made.consider(request('why?'), client.signal);
  client.abort();
  expect(await judging).toBeUndefined();
  expect(made.consider(request('why?'), new AbortController().signal)).toBeDefined();
});

test('vectors of another model, and questions without text, are judged by what can be counted', async () => {
  const { made, asked } = classifier(async () => [1, 2, 3]);
  expect(await made.consider(request('why?'), SIGNAL)).toBeUndefined();
  expect(made.consider(request('  '), SIGNAL)).toBeUndefined();
  expect(asked).toHaveLength(1);
});
