/**
 * What drawing 32 tokens costs beside the step that gave their logits.
 *
 *   GLIBC_TUNABLES=glibc.malloc.hugetlb=1 node bench/engine/sampling.ts '{"model":"FILE.gguf","cacheDir":"bench/engine/.cache","threads":2}'
 */
import { Decoder } from '../../kernels/decoder.ts';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import { SamplerState, sample } from '../../kernels/sampler.ts';
import { DECODE_CONTEXT, readTask, someTokens } from './figures.ts';

const ROWS = 32;
const STEPS = 24;
const OFF = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  typicalP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map<number, number>(),
};
const SETTINGS = {
  greedy: { temperature: 0 },
  'temperature 1': { temperature: 1 },
  'top_p 0.9': { temperature: 0.7, topP: 0.9 },
  'top_k 50, top_p 0.9': { temperature: 0.7, topK: 50, topP: 0.9 },
  'min_p 0.05': { temperature: 1, minP: 0.05 },
  'frequency penalty': { temperature: 1, topP: 0.9, frequencyPenalty: 0.5 },
};

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
for (let slot = 0; slot < ROWS; slot++) decoder.prefill(slot, someTokens(DECODE_CONTEXT, slot), 0, false);
for (const [name, parameters] of Object.entries(SETTINGS)) {
  const samplers = Array.from(
    { length: ROWS },
    (_, row) =>
      new SamplerState({
        parameters: { ...OFF, ...parameters },
        promptTokens: someTokens(DECODE_CONTEXT, row),
        seed: row,
      }),
  );
  const stepMs: number[] = [];
  const drawMs: number[] = [];
  let next = someTokens(ROWS, 3);
  for (let step = 0; step < STEPS; step++) {
    const startedAtMs = performance.now();
    const logits = decoder.decode(0, ROWS, next, new Array(ROWS).fill(DECODE_CONTEXT + step));
    const steppedAtMs = performance.now();
    next = samplers.map((sampler, row) => {
      const token = sample(logits.subarray(row * shape.vocabSize, (row + 1) * shape.vocabSize), sampler);
      sampler.record(token);
      return token;
    });
    stepMs.push(steppedAtMs - startedAtMs);
    drawMs.push(performance.now() - steppedAtMs);
  }
  const [stepped, drawn] = [stepMs, drawMs].map((list) => list.sort((a, b) => a - b)[STEPS >> 1]!);
  const percent = ((100 * drawn!) / (stepped! + drawn!)).toFixed(1);
  process.stdout.write(
    `${name}: drawing ${drawn!.toFixed(1)} ms, step ${stepped!.toFixed(1)} ms: ${percent} % of both\n`,
  );
}
decoder.close();
