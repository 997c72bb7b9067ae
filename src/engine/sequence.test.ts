import { describe, expect, test } from 'vitest';
import { SamplerState } from '../../kernels/sampler.ts';
import { GREEDY, textOf, tokensOf, UNTIL_EOS } from '../../test/engine/requests.ts';
import { TINY, tinyTokenizer } from '../../test/engine/tiny-vocabulary.ts';
import type { FinishReason, Part } from '../core/part.ts';
import type { ResolvedSampling, StopRules } from '../core/sampling.ts';
import { Sequence } from './sequence.ts';

const tokenizer = tinyTokenizer();

interface Setting {
  readonly stop?: Partial<StopRules>;
  readonly sampling?: Partial<ResolvedSampling>;
  readonly tokenLimit?: number;
  readonly topLogprobs?: number;
}

/** Runs a sequence whose model prefers these tokens one after the other, with `x` as second choice. */
function generate(preferred: readonly number[], setting: Setting = {}) {
  const sequence = new Sequence({
    request: 1,
    index: 0,
    prompt: [1],
    tokenLimit: setting.tokenLimit ?? 1_000,
    stop: { ...UNTIL_EOS, ...setting.stop },
    sampler: new SamplerState({
      parameters: { ...GREEDY, ...setting.sampling },
      promptTokens: [1],
      seed: 1,
    }),
    tokens: tokenizer,
    topLogprobs: setting.topLogprobs,
  });
  const parts: Part[] = [];
  for (const token of preferred) {
    if (sequence.done) break;
    const logits = new Float32Array(TINY.size).fill(-5);
    logits[0x78] = 4;
    logits[token] = 5;
    parts.push(...sequence.accept(logits));
  }
  const finish = parts.find((p) => p.type === 'finish');
  return {
    parts,
    sequence,
    text: textOf(parts),
    reason: finish?.reason as FinishReason | undefined,
    stopMatch: finish?.stopMatch,
    logprobs: parts.flatMap((p) => (p.type === 'text-delta' ? (p.logprobs ?? []) : [])),
  };
}

const bytes = (text: string): number[] => [...Buffer.from(text)];

describe('text', () => {
  test('an emoji over four tokens comes in one piece, and every token is counted when it is drawn', () => {
    const { parts, text } = generate([...bytes('a🎉b'), TINY.imEnd]);
    expect(text).toBe('a🎉b');
    const deltas = parts.filter((p) => p.type === 'text-delta');
    expect(deltas.map((p) => p.text)).toEqual(['a', '', '', '', '🎉', 'b', '']);
    expect(deltas.every((p) => p.tokens === 1)).toBe(true);
  });

  test('half a character at the end is not shown', () => {
    expect(generate(bytes('a🎉'), { tokenLimit: 3 })).toMatchObject({ text: 'a', reason: 'length' });
  });

  test('control tokens inside a reply have no text', () => {
    const { text } = generate([0x61, TINY.imStart, 0x62, TINY.imEnd]);
    expect(text).toBe('ab');
  });
});

describe('stopping', () => {
  test('a stop string over several tokens never shows', () => {
    const { text, reason, stopMatch, parts } = generate(bytes('one STOP two'), {
      stop: { strings: ['STOP'] },
    });
    expect({ text, reason, stopMatch }).toEqual({ text: 'one ', reason: 'stop', stopMatch: 'STOP' });
    expect(tokensOf(parts)).toBe(8);
  });

  test('what only looked like one is shown, at the latest at the end', () => {
    const limits = { stop: { strings: ['STOP'] }, tokenLimit: 6 };
    expect(generate(bytes('one STraight'), limits)).toMatchObject({ text: 'one ST', reason: 'length' });
    expect(generate([...bytes('ST'), TINY.imEnd], limits)).toMatchObject({ text: 'ST', reason: 'stop' });
  });

  test('the stop string stays when asked for', () => {
    expect(generate(bytes('a.b'), { stop: { strings: ['.'], includeStopString: true } }).text).toBe('a.');
  });

  test('a stop token has no text and is named', () => {
    const { text, reason, stopMatch } = generate(bytes('ab!c'), { stop: { tokenIds: [0x21] } });
    expect({ text, reason, stopMatch }).toEqual({ text: 'ab', reason: 'stop', stopMatch: 0x21 });
  });

  test('the end token is obeyed, or ignored when asked for', () => {
    const tokens = [0x61, TINY.imEnd, 0x62, TINY.endOfText];
    expect(generate(tokens)).toMatchObject({ text: 'a', reason: 'stop', stopMatch: undefined });
    const ignoring = generate(tokens, { stop: { ignoreEos: true }, tokenLimit: 4 });
    expect(ignoring).toMatchObject({ text: 'ab', reason: 'length' });
  });

  test('before minTokens nothing ends it: end and stop tokens cannot be drawn, stop strings are text', () => {
    const { text, sequence } = generate([TINY.imEnd, 0x21, 0x2e, TINY.imEnd], {
      stop: { minTokens: 3, tokenIds: [0x21], strings: ['.'] },
    });
    expect(text).toBe('xx.');
    expect(sequence.generated).toBe(4);
  });

  test('the token limit counts every token', () => {
    expect(generate(bytes('abcdef'), { tokenLimit: 3 })).toMatchObject({ text: 'abc', reason: 'length' });
  });
});

describe('log-probabilities', () => {
  test('name the token and its bytes, with the best alternatives', () => {
    const { logprobs } = generate([0x61, TINY.imEnd], { topLogprobs: 2 });
    expect(logprobs).toHaveLength(1);
    expect(logprobs[0]).toMatchObject({ token: 'a', bytes: [0x61] });
    expect(logprobs[0]!.top.map((t) => t.token)).toEqual(['a', 'x']);
    expect(logprobs[0]!.logprob).toBeCloseTo(logprobs[0]!.top[0]!.logprob);
    expect(logprobs[0]!.logprob - logprobs[0]!.top[1]!.logprob).toBeCloseTo(1);
  });

  test('of a swallowed stop string are not told; of shown text all are', () => {
    const { logprobs } = generate(bytes('ab STxSTOP'), { stop: { strings: ['STOP'] }, topLogprobs: 0 });
    expect(logprobs.map((l) => l.token).join('')).toBe('ab STx');
  });

  test('of a split character come with its bytes', () => {
    const { logprobs } = generate([...bytes('é'), TINY.imEnd], { topLogprobs: 0 });
    expect(logprobs.flatMap((l) => l.bytes)).toEqual(bytes('é'));
  });
});
