import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plausibleUsage } from './plausible-usage.ts';

const BOUNDS = { promptTokens: 1_000, completionTokens: 500 };
const SENSIBLE = { promptTokens: 100, completionTokens: 50, cachedPromptTokens: 80, reasoningTokens: 20 };

describe('plausible usage', () => {
  it('is what the server says, untouched, where it can be true', () => {
    expect(plausibleUsage(SENSIBLE, BOUNDS)).toBe(SENSIBLE);
    const most = { ...SENSIBLE, ...BOUNDS };
    expect(plausibleUsage(most, BOUNDS)).toBe(most);
    const none = { promptTokens: 0, completionTokens: 0, cachedPromptTokens: 0, reasoningTokens: 0 };
    expect(plausibleUsage(none, BOUNDS)).toBe(none);
  });

  it.each([
    ['negative', -1],
    ['no number', Number.NaN],
    ['infinite', Number.POSITIVE_INFINITY],
    ['a fraction', 1.5],
    ['too large to count with', 2 ** 53],
    ['a text', '100' as unknown as number],
    ['missing', undefined as unknown as number],
    ['more than there can be', 1_001],
  ])('is none where a number of tokens is %s', (_, tokens) => {
    expect(plausibleUsage({ ...SENSIBLE, promptTokens: tokens }, BOUNDS)).toBeUndefined();
    expect(plausibleUsage({ ...SENSIBLE, completionTokens: tokens }, BOUNDS)).toBeUndefined();
  });

  it('has more output than was asked for where as many bytes came, and never more than both', () => {
    const told = { ...SENSIBLE, completionTokens: 20_000 };
    expect(plausibleUsage(told, BOUNDS, 40_000)).toBe(told);
    expect(plausibleUsage(told, BOUNDS, 19_999)).toBeUndefined();
    // Reasoning that is not shown.
    const hidden = { ...SENSIBLE, completionTokens: 500 };
    expect(plausibleUsage(hidden, BOUNDS, 10)).toBe(hidden);
    expect(plausibleUsage({ ...SENSIBLE, completionTokens: 1e300 }, BOUNDS, 40_000)).toBeUndefined();
  });

  it('has no more cached than prompt tokens, no more reasoning than completion tokens, and no senseless ones', () => {
    expect(plausibleUsage({ ...SENSIBLE, cachedPromptTokens: 101, reasoningTokens: 51 }, BOUNDS)).toEqual({
      ...SENSIBLE,
      cachedPromptTokens: 100,
      reasoningTokens: 50,
    });
    for (const senseless of [-1, Number.NaN, 0.5, undefined as unknown as number])
      expect(
        plausibleUsage({ ...SENSIBLE, cachedPromptTokens: senseless, reasoningTokens: senseless }, BOUNDS),
      ).toEqual({ ...SENSIBLE, cachedPromptTokens: 0, reasoningTokens: 0 });
  });

  it('can always be counted with, whatever a server says', () => {
    const anything = fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger(), fc.constant(undefined));
    const usage = fc.record({
      promptTokens: anything,
      completionTokens: anything,
      cachedPromptTokens: anything,
      reasoningTokens: anything,
    });
    fc.assert(
      fc.property(usage, (told) => {
        const taken = plausibleUsage(told as typeof SENSIBLE, BOUNDS);
        if (taken === undefined) return;
        const { promptTokens, completionTokens, cachedPromptTokens, reasoningTokens } = taken;
        for (const tokens of Object.values(taken))
          expect(Number.isSafeInteger(tokens) && tokens >= 0).toBe(true);
        expect(promptTokens).toBeLessThanOrEqual(BOUNDS.promptTokens);
        expect(completionTokens).toBeLessThanOrEqual(BOUNDS.completionTokens);
        expect(cachedPromptTokens).toBeLessThanOrEqual(promptTokens);
        expect(reasoningTokens).toBeLessThanOrEqual(completionTokens);
      }),
    );
  });
});
