import { expect, test } from 'vitest';
import type { GenerateRequest } from '../core/request.ts';
import { featureClassifier } from './feature-classifier.ts';

interface Extra {
  readonly turns?: number;
  readonly tools?: number;
}

function difficulty(text: string, { turns = 1, tools = 0 }: Extra = {}): number {
  const messages = Array.from({ length: turns }, () => ({ role: 'user', content: [{ type: 'text', text }] }));
  return featureClassifier.judge({
    prompts: [{ kind: 'chat', messages }],
    tools: Array.from({ length: tools }, () => ({ name: 't' })),
    structure: undefined,
    wire: { body: Buffer.from(JSON.stringify({ messages })) },
  } as unknown as GenerateRequest).difficulty;
}

test.each([
  'hi',
  'What is the capital of France?',
  '你好，今天星期几？',
  'Translate "good morning" into German.',
  'Thanks a lot!',
])('easy: %s', (text) => {
  expect(difficulty(text)).toBeLessThan(0.3);
});

test.each([
  'Prove that the sum of two odd numbers is even, and explain step by step why x^2 + y^2 = z^2 has solutions.',
  '请分析下面的代码为什么报错，并优化：\n```python\ndef f(x):\n    return f(x - 1)\n```',
  'Compare the trade-offs of optimistic and pessimistic locking and design a schema:\n1. What fails?\n2. What scales?\n3. Why?',
  'Calculate 17 * 23 + 4 / 2 = ? and solve the equation x^2 - 5x + 6 = 0, then explain why.',
])('hard: %s', (text) => {
  expect(difficulty(text)).toBeGreaterThan(0.6);
});

test('more turns, tools and text make it harder, never easier', () => {
  const text = 'Summarise what we said.';
  expect(difficulty(text, { turns: 8 })).toBeGreaterThan(difficulty(text));
  expect(difficulty(text, { tools: 1 })).toBeGreaterThan(difficulty(text));
  expect(difficulty(text.repeat(200))).toBeGreaterThan(difficulty(text));
});

test('an enormous question is judged as fast as a long one', () => {
  const startedAt = performance.now();
  expect(difficulty('a1 = '.repeat(400_000))).toBeGreaterThan(0.5);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});
