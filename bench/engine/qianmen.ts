/** The project's decoder without server and sampling. */
import { Decoder } from '../../kernels/decoder.ts';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import {
  DECODE_CONTEXT,
  DECODE_STEPS,
  type Figure,
  perSecond,
  readTask,
  report,
  someTokens,
} from './figures.ts';

const { model, cacheDir, threads, batches, prompts, beside } = readTask();
const context = beside?.promptTokens ?? DECODE_CONTEXT;
const stepsOf = (batch: number): number => beside?.steps[batch] ?? DECODE_STEPS;
const { graphPath, shape } = ensureDecoderGraph(model, cacheDir);
const decoder = Decoder.load({
  graphPath,
  shape,
  slots: Math.max(1, ...batches),
  contextTokens: beside?.contextTokens ?? Math.max(DECODE_CONTEXT + DECODE_STEPS, ...prompts),
  threads,
  spinning: true,
});
const figures: Figure[] = [];
decoder.prefill(0, someTokens(64, 99), 0, true);
for (const length of prompts) {
  const tokens = someTokens(length, 0);
  const startedAtMs = performance.now();
  for (let past = 0; past < length; past += 256)
    decoder.prefill(0, tokens.slice(past, past + 256), past, past + 256 >= length);
  figures.push({ name: `prompt ${length}`, tokensPerSecond: perSecond(length, startedAtMs) });
}
for (const batch of batches) {
  const steps = stepsOf(batch);
  const next = someTokens(batch, 3);
  for (let slot = 0; slot < batch; slot++) decoder.prefill(slot, someTokens(context, slot), 0, false);
  const startedAtMs = performance.now();
  for (let step = 0; step < steps; step++)
    decoder.decode(0, batch, next, new Array(batch).fill(context + step));
  figures.push({ name: `decode ${batch}`, tokensPerSecond: perSecond(batch * steps, startedAtMs) });
}
decoder.close();
report(figures);
