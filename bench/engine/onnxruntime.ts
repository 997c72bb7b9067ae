/**
 * The project's graph in onnxruntime-node as its documentation has it: past and present are tensors that go in and come
 * out at every step.
 */
import { createRequire } from 'node:module';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import { pastName, presentName } from '../../kernels/graph/decoder-context.ts';
import {
  DECODE_CONTEXT,
  DECODE_STEPS,
  type Figure,
  perSecond,
  readTask,
  report,
  someTokens,
} from './figures.ts';

const ort: typeof import('onnxruntime-node') = createRequire(import.meta.url)('onnxruntime-node');
type Feeds = Record<string, import('onnxruntime-node').Tensor>;

const { model, cacheDir, threads, batches, prompts } = readTask();
const { graphPath, shape } = ensureDecoderGraph(model, cacheDir);
const session = await ort.InferenceSession.create(graphPath, {
  intraOpNumThreads: threads,
});
/** Past → present. */
const kvNames = Array.from({ length: shape.layers }, (_, layer) =>
  (['key', 'value'] as const).map((side) => [pastName(layer, side), presentName(layer, side)] as const),
).flat();

function noPast(batch: number): Feeds {
  const dims = [batch, shape.kvHeads, 0, shape.headDim];
  return Object.fromEntries(
    kvNames.map(([past]) => [past, new ort.Tensor('float32', new Float32Array(0), dims)]),
  );
}

/** Gives what the next call takes as its past. */
async function forward(tokens: readonly number[], batch: number, pastLength: number, past: Feeds) {
  const chunk = tokens.length / batch;
  const rows = BigInt64Array.from({ length: batch }, (_, i) => BigInt(i * chunk + chunk - 1));
  const outputs = await session.run({
    ...past,
    input_ids: new ort.Tensor('int64', BigInt64Array.from(tokens, BigInt), [batch, chunk]),
    seqlens_k: new ort.Tensor('int32', new Int32Array(batch).fill(pastLength + chunk - 1), [batch]),
    total_seq: new ort.Tensor('int32', Int32Array.of(pastLength + chunk), []),
    logit_rows: new ort.Tensor('int64', rows, [batch]),
  });
  return Object.fromEntries(kvNames.map(([past, present]) => [past, outputs[present]!])) as Feeds;
}

const figures: Figure[] = [];
await forward(someTokens(64, 99), 1, 0, noPast(1));
for (const length of prompts) {
  const startedAtMs = performance.now();
  await forward(someTokens(length, 0), 1, 0, noPast(1));
  figures.push({ name: `prompt ${length}`, tokensPerSecond: perSecond(length, startedAtMs) });
}
for (const batch of batches) {
  const all = Array.from({ length: batch }, (_, slot) => someTokens(DECODE_CONTEXT, slot)).flat();
  let past = await forward(all, batch, 0, noPast(batch));
  const next = someTokens(batch, 3);
  const startedAtMs = performance.now();
  for (let step = 0; step < DECODE_STEPS; step++)
    past = await forward(next, batch, DECODE_CONTEXT + step, past);
  figures.push({ name: `decode ${batch}`, tokensPerSecond: perSecond(batch * DECODE_STEPS, startedAtMs) });
}
report(figures);
