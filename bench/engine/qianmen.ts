/** The project's decoder without server and sampling. */
import { Decoder } from '../../kernels/decoder.ts';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import { decodeTogether } from './decode-together.ts';
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
for (const sequences of batches) {
  const tokensPerSecond = decodeTogether(decoder, {
    sequences,
    contextTokens: DECODE_CONTEXT,
    steps: DECODE_STEPS,
  });
  figures.push({ name: `decode ${sequences}`, tokensPerSecond });
}
decoder.close();
report(figures);
