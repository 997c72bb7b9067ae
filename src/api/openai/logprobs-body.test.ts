import { expect, it } from 'vitest';
import type { TokenLogprob } from '../../core/part.ts';
import { appendCompletionLogprobs, emptyCompletionLogprobs } from './logprobs-body.ts';

function token(bytes: readonly number[], logprob: number): TokenLogprob {
  const text = Buffer.from(bytes).toString();
  return { token: text, bytes, logprob, top: [{ token: text, bytes, logprob }] };
}

it('keeps offsets inside the text, and tokens apart that are parts of a character', () => {
  const target = emptyCompletionLogprobs();
  const party = [...Buffer.from('🎉')];
  const pieces = [
    token([0x61], -1),
    token(party.slice(0, 2), -2),
    token(party.slice(2), -3),
    token([0x62], -4),
  ];
  const next = appendCompletionLogprobs(target, pieces, 0);
  // a🎉b
  expect(next).toBe(3);
  expect(target.text_offset).toEqual([0, 1, 1, 2]);
  expect(target.tokens).toEqual(['a', 'bytes:\\xf0\\x9f', 'bytes:\\x8e\\x89', 'b']);
  expect(Object.keys(target.top_logprobs[1] ?? {})).toEqual(['bytes:\\xf0\\x9f']);
});
