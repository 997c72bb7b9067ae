import fc from 'fast-check';
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
    const hour = { durationMs: 3_600_000 };
    expect(costNanoUsd({ price: undefined, machineUsdPerHour: 0.01 }, used(), hour)).toBe(10_000_000);
    expect(costNanoUsd({ price: undefined, machineUsdPerHour: 1 }, used(), hour)).toBe(1_000_000_000);
  });

  it('is the same whether it is small enough for doubles or not', () => {
    const most = 2 ** 40;
    const count = fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: most }));
    const usd = fc.double({ min: 0, max: 1_000, noNaN: true });
    fc.assert(
      fc.property(count, count, usd, usd, (promptTokens, completionTokens, input, output) => {
        const some = { inputUsdPerMTok: input, cachedInputUsdPerMTok: 0, outputUsdPerMTok: output };
        const pico =
          BigInt(promptTokens) * BigInt(Math.round(input * 1e6)) +
          BigInt(completionTokens) * BigInt(Math.round(output * 1e6));
        const nano = (pico + 500n) / 1_000n;
        const most = BigInt(Number.MAX_SAFE_INTEGER);
        const usage = used({ promptTokens, completionTokens, cachedPromptTokens: 0 });
        expect(costNanoUsd({ price: some }, usage, service)).toBe(Number(nano < most ? nano : most));
      }),
    );
    // Just below a whole nano-dollar, where a double is coarsest.
    const one = { inputUsdPerMTok: 1e-6, cachedInputUsdPerMTok: 0, outputUsdPerMTok: 0 };
    for (const promptTokens of [2 ** 50 - 325, 2 ** 50, 2 ** 50 + 1, 2 ** 53 - 1]) {
      const usage = used({ promptTokens, completionTokens: 0, cachedPromptTokens: 0 });
      expect(costNanoUsd({ price: one }, usage, service)).toBe(
        Number((BigInt(promptTokens) + 500n) / 1_000n),
      );
    }
  });

  it('does not overflow', () => {
    const dear = { inputUsdPerMTok: 1e6, cachedInputUsdPerMTok: 0, outputUsdPerMTok: 1e6 };
    const huge = used({ promptTokens: Number.MAX_SAFE_INTEGER, cachedPromptTokens: 0 });
    expect(costNanoUsd({ price: dear }, huge, service)).toBe(Number.MAX_SAFE_INTEGER);
  });
});
