import { describe, expect, it } from 'vitest';
import { costNanoUsd } from './money.ts';
import type { Usage } from './usage.ts';

const price = { inputUsdPerMTok: 0.15, cachedInputUsdPerMTok: 0.075, outputUsdPerMTok: 0.6 };
const service = { durationMs: 1_000 };

function used(changes: Partial<Usage> = {}): Usage {
  return {
    promptTokens: 1_000,
    completionTokens: 10,
    cachedPromptTokens: 200,
    reasoningTokens: 0,
    ...changes,
  };
}

describe('what an attempt costs', () => {
  it('is exact to the nano-dollar', () => {
    expect(costNanoUsd({ price }, used(), service)).toBe(800 * 150 + 200 * 75 + 10 * 600);
  });

  it('counts half a nano-dollar as one, once for all of it', () => {
    const cheap = { inputUsdPerMTok: 0.0001, cachedInputUsdPerMTok: 0, outputUsdPerMTok: 0.0001 };
    const tokens = (promptTokens: number) =>
      costNanoUsd(
        { price: cheap },
        used({ promptTokens, completionTokens: 0, cachedPromptTokens: 0 }),
        service,
      );
    expect([tokens(4), tokens(5), tokens(14), tokens(15)]).toEqual([0, 1, 1, 2]);
  });

  it('counts more cached tokens than there are as all of them', () => {
    expect(costNanoUsd({ price }, used({ cachedPromptTokens: 5_000, completionTokens: 0 }), service)).toBe(
      75_000,
    );
  });

  it('adds what is asked per request, per image and per second of sound', () => {
    const all = { ...price, usdPerRequest: 0.001, usdPerImage: 0.01, usdPerAudioSecond: 0.0001 };
    const nothing = used({ promptTokens: 0, completionTokens: 0, cachedPromptTokens: 0 });
    expect(costNanoUsd({ price: all }, nothing, { ...service, images: 3, audioSeconds: 1.5 })).toBe(
      31_200_000,
    );
  });

  it("is the machine's time where there is no price per token, and nothing without either", () => {
    expect(costNanoUsd({ price: undefined, machineUsdPerHour: 3.6 }, used(), service)).toBe(1_000_000);
    expect(costNanoUsd({ price: undefined }, used(), service)).toBe(0);
  });

  it('does not overflow', () => {
    const dear = { inputUsdPerMTok: 1e6, cachedInputUsdPerMTok: 0, outputUsdPerMTok: 1e6 };
    const huge = used({ promptTokens: Number.MAX_SAFE_INTEGER, cachedPromptTokens: 0 });
    expect(costNanoUsd({ price: dear }, huge, service)).toBe(Number.MAX_SAFE_INTEGER);
  });
});
