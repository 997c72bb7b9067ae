import { expect, it } from 'vitest';
import { resolveSampling, type Sampling } from './sampling.ts';

const OPEN: Sampling = {
  temperature: undefined,
  topP: undefined,
  topK: undefined,
  minP: undefined,
  typicalP: undefined,
  repetitionPenalty: undefined,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: new Map(),
  seed: undefined,
};

it("takes the client's word first, then the model's, then OpenAI's defaults", () => {
  const asked = { ...OPEN, temperature: 0, topK: 0 };
  expect(resolveSampling(asked, { temperature: 0.2, topP: 0.9, topK: 20 })).toMatchObject({
    temperature: 0,
    topP: 0.9,
    topK: 0,
    minP: 0,
    typicalP: 1,
    repetitionPenalty: 1,
  });
  expect(resolveSampling(OPEN, {})).toMatchObject({ temperature: 1, topP: 1, topK: 0 });
});
