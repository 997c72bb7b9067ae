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

const { model, cacheDir, threads, batches, prompts } = readTask();
const { graphPath, shape } = ensureDecoderGraph(model, cacheDir);
const decoder = Decoder.load({
  graphPath,
  shape,
  slots: Math.max(1, ...batches),
  contextTokens: Math.max(DECODE_CONTEXT + DECODE_STEPS, ...prompts),
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
  const next = someTokens(batch, 3);
  for (let slot = 0; slot < batch; slot++) decoder.prefill(slot, someTokens(DECODE_CONTEXT, slot), 0, false);
  const startedAtMs = performance.now();
  for (let step = 0; step < DECODE_STEPS; step++)
    decoder.decode(0, batch, next, new Array(batch).fill(DECODE_CONTEXT + step));
  figures.push({ name: `decode ${batch}`, tokensPerSecond: perSecond(batch * DECODE_STEPS, startedAtMs) });
}
decoder.close();
report(figures);
