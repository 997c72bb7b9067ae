/**
 * What drawing 32 tokens costs beside the step that gave their logits.
 *
 *   GLIBC_TUNABLES=glibc.malloc.hugetlb=1 node bench/engine/sampling.ts '{"model":"FILE.gguf","cacheDir":"bench/engine/.cache","threads":2}'
 */
import { Decoder } from '../../kernels/decoder.ts';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import { tokenLogprobs } from '../../kernels/logprobs.ts';
import { type SamplerParameters, SamplerState, sample } from '../../kernels/sampler.ts';
import { readModelFiles } from '../../src/engine/model-files.ts';
import { RequestGrammars } from '../../src/engine/request-grammars.ts';
import { Tokenizer } from '../../src/engine/tokenizer.ts';
import { DECODE_CONTEXT, readTask, someTokens } from './figures.ts';

const ROWS = 32;
const STEPS = 24;
const OFF: SamplerParameters = {
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
const EVERYTHING = {
  temperature: 0.9,
  topK: 100,
  topP: 0.9,
  minP: 0.02,
  frequencyPenalty: 0.3,
  presencePenalty: 0.2,
  repetitionPenalty: 1.1,
  logitBias: new Map(Array.from({ length: 300 }, (_, i) => [7 * i, 1])),
};

interface Mode {
  readonly name: string;
  readonly parameters: Partial<SamplerParameters>;
  readonly topLogprobs?: number;
  /** Held to a JSON schema, as long as the text goes. */
  readonly constrained?: boolean;
}
const MODES: readonly Mode[] = [
  { name: 'greedy', parameters: { temperature: 0 } },
  { name: 'temperature 1', parameters: {} },
  { name: 'top_p 0.9', parameters: { temperature: 0.7, topP: 0.9 } },
  { name: 'top_p 0.99, temperature 2', parameters: { temperature: 2, topP: 0.99 } },
  { name: 'top_k 50, top_p 0.9', parameters: { temperature: 0.7, topK: 50, topP: 0.9 } },
  { name: 'top_k 1000, top_p 0.9', parameters: { topK: 1000, topP: 0.9 } },
  { name: 'top_k 2000', parameters: { topK: 2000 } },
  { name: 'top_k 5000, top_p 0.9', parameters: { topK: 5000, topP: 0.9 } },
  { name: 'top_k 20000', parameters: { topK: 20_000 } },
  { name: 'top_k 40000, temperature 2', parameters: { topK: 40_000, temperature: 2 } },
  { name: 'min_p 0.05', parameters: { minP: 0.05 } },
  { name: 'min_p 0.0001, temperature 2', parameters: { temperature: 2, minP: 0.0001 } },
  { name: 'typical_p 0.2', parameters: { typicalP: 0.2 } },
  { name: 'typical_p 0.9', parameters: { typicalP: 0.9 } },
  { name: 'typical_p 0.95, temperature 2', parameters: { temperature: 2, typicalP: 0.95 } },
  { name: 'top_p 0.95, typical_p 0.9', parameters: { topP: 0.95, typicalP: 0.9 } },
  {
    name: 'top_p 0.95, typical_p 0.9, temperature 2',
    parameters: { temperature: 2, topP: 0.95, typicalP: 0.9 },
  },
  {
    name: 'top_p 0.999, typical_p 0.99, temperature 5',
    parameters: { temperature: 5, topP: 0.999, typicalP: 0.99 },
  },
  { name: 'frequency penalty', parameters: { topP: 0.9, frequencyPenalty: 0.5 } },
  { name: 'top_logprobs 20', parameters: {}, topLogprobs: 20 },
  { name: 'everything', parameters: EVERYTHING },
  { name: 'everything, top_logprobs 20', parameters: EVERYTHING, topLogprobs: 20 },
  { name: 'JSON schema', parameters: {}, constrained: true },
  { name: 'JSON schema, top_p 0.9', parameters: { topP: 0.9 }, constrained: true },
];

const { model, cacheDir, threads } = readTask();
const { graphPath, shape } = ensureDecoderGraph(model, cacheDir);
const decoder = Decoder.load({
  graphPath,
  shape,
  slots: ROWS,
  contextTokens: DECODE_CONTEXT + STEPS,
  threads,
  spinning: true,
});
const newConstraint = await constraintOf(new Tokenizer(readModelFiles(model).tokenizer));
for (let slot = 0; slot < ROWS; slot++) decoder.prefill(slot, someTokens(DECODE_CONTEXT, slot), 0, false);
for (const { name, parameters, topLogprobs, constrained } of MODES) {
  const sequences = Array.from({ length: ROWS }, (_, row) => ({
    sampler: new SamplerState({
      parameters: { ...OFF, ...parameters },
      promptTokens: someTokens(DECODE_CONTEXT, row),
      seed: row,
    }),
    constraint: constrained ? newConstraint() : undefined,
  }));
  const stepMs: number[] = [];
  const drawMs: number[] = [];
  let next = someTokens(ROWS, 3);
  for (let step = 0; step < STEPS; step++) {
    const startedAtMs = performance.now();
    const logits = decoder.decode(0, ROWS, next, new Array(ROWS).fill(DECODE_CONTEXT + step));
    const steppedAtMs = performance.now();
    next = sequences.map(({ sampler, constraint }, row) => {
      const own = logits.subarray(row * shape.vocabSize, (row + 1) * shape.vocabSize);
      const token = sample(own, sampler, [], constraint?.mask);
      sampler.record(token);
      constraint?.accept(token);
      if (topLogprobs !== undefined) tokenLogprobs(own, token, topLogprobs);
      return token;
    });
    stepMs.push(steppedAtMs - startedAtMs);
    drawMs.push(performance.now() - steppedAtMs);
  }
  const [stepped, drawn] = [stepMs, drawMs].map((list) => list.sort((a, b) => a - b)[STEPS >> 1]!);
  const percent = ((100 * drawn!) / stepped!).toFixed(1);
  process.stdout.write(
    `${name}: drawing ${drawn!.toFixed(1)} ms, step ${stepped!.toFixed(1)} ms: ${percent} % of it\n`,
  );
}
decoder.close();
process.exit();

/** Texts that are long enough for all steps. */
async function constraintOf(tokenizer: Tokenizer) {
  const item = { type: 'object', properties: { name: { type: 'string' }, size: { type: 'number' } } };
  const schema = { type: 'array', items: { ...item, required: ['name', 'size'] }, minItems: 1_000 };
  const grammars = new RequestGrammars({ tokenizer, template: undefined, contextTokens: 0 }, shape.vocabSize);
  const compiled = grammars.compile({
    structure: { kind: 'json', schema, param: 'response_format' },
    tools: [],
    toolChoice: 'auto',
    parallelToolCalls: true,
  });
  if (compiled === undefined) throw new Error('The schema gave no grammar.');
  return await compiled;
}
