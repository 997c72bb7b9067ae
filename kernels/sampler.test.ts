import { describe, expect, it } from 'vitest';
import { seededRandom } from './random.ts';
import { type SamplerParameters, SamplerState, sample } from './sampler.ts';

const PLAIN: SamplerParameters = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  typicalP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
};

function stateOf(parameters: Partial<SamplerParameters> = {}, seed = 1, promptTokens: number[] = []) {
  return new SamplerState({ parameters: { ...PLAIN, ...parameters }, promptTokens, seed });
}

/** Logits like a model's: roughly normal, with a few well above the rest. */
function modelLogits(vocabSize: number, seed = 3): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: vocabSize }, (_, id) => {
    const bell = random() + random() + random() + random() - 2;
    return 6 * bell + (id % 401 === 7 ? 6 : 0);
  });
}

/** How often each token comes in `draws` draws. */
function histogram(
  logits: Float32Array,
  state: SamplerState,
  draws: number,
  banned?: number[],
): Float64Array {
  const counts = new Float64Array(logits.length);
  for (let i = 0; i < draws; i++) counts[sample(logits, state, banned)]!++;
  return counts;
}

interface Weighted {
  readonly id: number;
  readonly weight: number;
}

/** As the paper has it: by distance of the surprise from the entropy. */
function mostTypical(tokens: readonly Weighted[], typicalP: number): Weighted[] {
  const total = tokens.reduce((sum, { weight }) => sum + weight, 0);
  const entropy = tokens.reduce((sum, { weight }) => sum - (weight / total) * Math.log(weight / total), 0);
  const unlikeness = ({ weight }: Weighted) => Math.abs(-Math.log(weight / total) - entropy);
  const kept: Weighted[] = [];
  let mass = 0;
  for (const token of tokens.toSorted((a, b) => unlikeness(a) - unlikeness(b))) {
    if (kept.length > 0 && mass >= typicalP * total) break;
    kept.push(token);
    mass += token.weight;
  }
  return kept;
}

/** The plain way: sort everything. Probabilities after temperature, min-p, top-k, top-p and typical-p. */
function referenceProbabilities(logits: Float32Array, parameters: Partial<SamplerParameters>): Float64Array {
  const { temperature, topP, topK, minP, typicalP } = { ...PLAIN, ...parameters };
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  const max = logits[order[0]!]!;
  let kept = order.map((id) => ({ id, weight: Math.exp((logits[id]! - max) / temperature) }));
  if (minP > 0) kept = kept.filter(({ weight }) => weight >= minP);
  if (topK > 0) kept = kept.slice(0, topK);
  const total = kept.reduce((sum, { weight }) => sum + weight, 0);
  let mass = 0;
  kept = kept.filter(({ weight }) => {
    const belongs = mass < topP * total;
    mass += weight;
    return belongs;
  });
  if (typicalP < 1) kept = mostTypical(kept, typicalP);
  const nucleus = kept.reduce((sum, { weight }) => sum + weight, 0);
  const probabilities = new Float64Array(logits.length);
  for (const { id, weight } of kept) probabilities[id] = weight / nucleus;
  return probabilities;
}

/**
 * Pearson's statistic, in standard deviations above its mean: tokens expected fewer than five times count as one.
 */
function chiSquareDeviations(counts: Float64Array, probabilities: Float64Array, draws: number): number {
  let statistic = 0;
  let cells = 0;
  let rare = 0;
  let rareExpected = 0;
  for (let id = 0; id < counts.length; id++) {
    const expected = probabilities[id]! * draws;
    if (expected >= 5) {
      statistic += (counts[id]! - expected) ** 2 / expected;
      cells++;
    } else {
      rare += counts[id]!;
      rareExpected += expected;
    }
  }
  if (rareExpected >= 5) {
    statistic += (rare - rareExpected) ** 2 / rareExpected;
    cells++;
  }
  const freedom = cells - 1;
  return (statistic - freedom) / Math.sqrt(2 * freedom);
}

const SETTINGS: readonly [string, Partial<SamplerParameters>][] = [
  ['plain', {}],
  ['temperature 0.5', { temperature: 0.5 }],
  ['temperature 2', { temperature: 2 }],
  ['top-k 20', { topK: 20 }],
  ['top-k 300', { topK: 300 }],
  ['top-k 1', { topK: 1 }],
  ['top-p 0.9', { topP: 0.9 }],
  ['top-p 0.3', { topP: 0.3 }],
  ['top-p 0.999 at temperature 2', { topP: 0.999, temperature: 2 }],
  ['tiny top-p', { topP: 1e-9 }],
  ['min-p 0.1', { minP: 0.1 }],
  ['min-p 1', { minP: 1 }],
  ['top-k, top-p and min-p', { topK: 50, topP: 0.8, minP: 0.02, temperature: 1.5 }],
  ['large top-k, top-p and min-p', { topK: 400, topP: 0.8, minP: 0.001, temperature: 1.5 }],
  ['typical-p 0.5', { typicalP: 0.5 }],
  ['typical-p 0.95 at temperature 2', { typicalP: 0.95, temperature: 2 }],
  ['tiny typical-p', { typicalP: 1e-9 }],
  ['top-k and typical-p', { topK: 40, typicalP: 0.6 }],
  ['top-p and typical-p', { topP: 0.9, typicalP: 0.4, temperature: 1.5 }],
  ['large top-k, min-p and typical-p', { topK: 400, minP: 0.001, typicalP: 0.7, temperature: 1.5 }],
];

describe('sample', () => {
  describe.each([
    ['a model-like row', modelLogits(1500)],
    ['a short row', modelLogits(13, 8)],
    ['a flat row', new Float32Array(900).fill(2).map((x, id) => x + id * 1e-4)],
  ])('on %s', (_name, logits) => {
    it.each(SETTINGS)('draws the right tokens in the right proportions: %s', (_setting, parameters) => {
      const draws = 10_000;
      const probabilities = referenceProbabilities(logits, parameters);
      const counts = histogram(logits, stateOf(parameters), draws);
      for (let id = 0; id < logits.length; id++)
        if (probabilities[id] === 0) expect(counts[id], `token ${id}`).toBe(0);
      const possible = probabilities.filter((probability) => probability > 0).length;
      if (possible > 1) expect(chiSquareDeviations(counts, probabilities, draws)).toBeLessThan(5);
    });
  });

  it('takes the largest logit when greedy, the first of equals, and draws no random number', () => {
    const logits = Float32Array.of(1, 5, 2, 5, 0, 3, 1, 1, 4, 2);
    const state = stateOf({ temperature: 0, topK: 3, topP: 0.5 });
    expect(sample(logits, state)).toBe(1);
    expect(state.random()).toBe(stateOf().random());
  });

  it('gives the same tokens for the same seed, and others for another', () => {
    const logits = modelLogits(500);
    const run = (seed: number) => {
      const state = stateOf({}, seed);
      return Array.from({ length: 50 }, () => sample(logits, state));
    };
    expect(run(42)).toEqual(run(42));
    expect(run(42)).not.toEqual(run(43));
  });

  it.each(SETTINGS)('draws one random number per token: %s', (_name, parameters) => {
    const state = stateOf(parameters, 9);
    const logits = modelLogits(500);
    sample(logits, state);
    sample(logits, state);
    const fresh = seededRandom(9);
    fresh();
    fresh();
    expect(state.random()).toBe(fresh());
  });

  it('is not disturbed by rows of other sequences in between', () => {
    const logits = modelLogits(500);
    const alone = stateOf({ topP: 0.9 }, 5);
    const expected = Array.from({ length: 20 }, () => sample(logits, alone));
    const batched = stateOf({ topP: 0.9 }, 5);
    const other = stateOf({ topK: 300, logitBias: new Map([[3, 5]]) }, 6);
    const actual = Array.from({ length: 20 }, () => {
      sample(modelLogits(700, 1), other, [1]);
      return sample(logits, batched);
    });
    expect(actual).toEqual(expected);
  });

  it('leaves the logits as they are', () => {
    const logits = modelLogits(500);
    const before = logits.slice();
    const all = { repetitionPenalty: 2, frequencyPenalty: 1, logitBias: new Map([[1, 1]]), topP: 0.9 };
    sample(logits, stateOf(all, 1, [1, 2, 3]), [4]);
    sample(logits, stateOf({ ...all, topK: 300 }, 1, [1, 2, 3]), [4]);
    expect(logits).toEqual(before);
  });

  it.each(SETTINGS.concat([['greedy', { temperature: 0 }]]))(
    'never draws a banned token: %s',
    (_name, parameters) => {
      const logits = modelLogits(100);
      const best = logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
      expect(histogram(logits, stateOf(parameters), 500, [best, 3])[best]).toBe(0);
    },
  );

  it.each(SETTINGS)('draws the same under a mask as under a ban of all others: %s', (_name, parameters) => {
    const logits = modelLogits(500);
    const isAllowed = (id: number) => id % 7 < 3;
    const mask = new Int32Array(16);
    const banned: number[] = [];
    for (let id = 0; id < 500; id++) {
      if (isAllowed(id)) mask[id >> 5]! |= 1 << (id & 31);
      else banned.push(id);
    }
    const [masked, plain] = [stateOf(parameters), stateOf(parameters)];
    for (let i = 0; i < 20; i++) expect(sample(logits, masked, [], mask)).toBe(sample(logits, plain, banned));
  });

  it('says so when nothing is left to draw', () => {
    const logits = Float32Array.of(1, 2);
    expect(() => sample(logits, stateOf(), [0, 1])).toThrow(/no token can be drawn/);
    expect(() => sample(logits, stateOf({ topK: 1 }), [0, 1])).toThrow(/no token can be drawn/);
    expect(() => sample(logits, stateOf({ temperature: 0 }), [0, 1])).toThrow(/no token can be drawn/);
    expect(() => sample(Float32Array.of(Number.NaN, 1), stateOf())).toThrow(/not a number/);
  });
});

describe('penalties', () => {
  /** Logits after the adjustment, seen through a state that has recorded `output`. */
  function adjusted(
    logits: number[],
    parameters: Partial<SamplerParameters>,
    prompt: number[],
    output: number[],
  ) {
    const state = stateOf(parameters, 1, prompt);
    for (const token of output) state.record(token);
    const row = Float32Array.from(logits);
    state.adjust(row);
    return [...row];
  }

  it('repetition covers prompt and output once each, and moves either sign downwards', () => {
    expect(adjusted([4, 4, -4, 4], { repetitionPenalty: 2 }, [0, 2], [0, 1, 1])).toEqual([2, 2, -8, 4]);
  });

  it('frequency counts the output, presence only notes it, neither sees the prompt', () => {
    expect(adjusted([4, 4, 4], { frequencyPenalty: 0.5 }, [2, 2], [0, 1, 1])).toEqual([3.5, 3, 4]);
    expect(adjusted([4, 4, 4], { presencePenalty: 0.5 }, [2, 2], [0, 1, 1])).toEqual([3.5, 3.5, 4]);
  });

  it('apply after the bias, repetition first', () => {
    const parameters = {
      logitBias: new Map([[0, 2]]),
      repetitionPenalty: 2,
      frequencyPenalty: 1,
      presencePenalty: 0.5,
    };
    expect(adjusted([4, 4], parameters, [], [0])).toEqual([6 / 2 - 1 - 0.5, 4]);
  });

  it('steer greedy decoding', () => {
    const logits = Float32Array.of(3, 2.9, 1);
    const state = stateOf({ temperature: 0, frequencyPenalty: 0.2 });
    const tokens = Array.from({ length: 4 }, () => {
      const token = sample(logits, state);
      state.record(token);
      return token;
    });
    expect(tokens).toEqual([0, 1, 0, 1]);
  });

  it('a bias lifts or forbids, and ids outside the vocabulary do nothing', () => {
    const logits = Float32Array.of(3, 2, 1);
    expect(
      sample(
        logits,
        stateOf({
          temperature: 0,
          logitBias: new Map([
            [2, 100],
            [999, 100],
          ]),
        }),
      ),
    ).toBe(2);
    const forbidden = histogram(logits, stateOf({ logitBias: new Map([[0, -100]]) }), 500);
    expect(forbidden[0]).toBe(0);
  });
});
