/** The project's decoder on one execution provider, without server and sampling: what it computes, and how fast. Started by `gpu.ts`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Decoder } from '../../kernels/decoder.ts';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import { buildDecoderGraph } from '../../kernels/graph/decoder-graph.ts';
import { readDecoderSource } from '../../kernels/graph/model-path.ts';
import { chooseOrtLibrary } from '../../kernels/ort/library.ts';
import { ProviderSearch } from '../../kernels/ort/provider-search.ts';
import { DECODE_CONTEXT, type Figure, perSecond, someTokens } from './figures.ts';
import type { GpuOutcome, GpuTask } from './gpu-task.ts';

/** A measurement is the median of so many, after one that does not count: what is used for the first time is compiled first. */
const REPEATS = 5;
const DECODE_STEPS = 24;
const PROMPT_CHUNK = 512;

const task: GpuTask = JSON.parse(process.argv[2]!);
const chats: { tokens: number[] }[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/chat-prompts.json', import.meta.url), 'utf8'),
).slice(0, task.chats);

const startedAtMs = performance.now();
const decoder = load();
const loadMs = performance.now() - startedAtMs;
decoder.prefill(0, someTokens(64, 99), 0, true);
const firstPassMs = performance.now() - startedAtMs - loadMs;
const greedy = writeLogits();
const figures = measure();
decoder.close();
const outcome: GpuOutcome = { figures, greedy, loadMs, firstPassMs };
// Drivers' threads may outlive the work.
process.stdout.write(`\n${JSON.stringify(outcome)}\n`, () => process.exit(0));

function load(): Decoder {
  const { model, cacheDir, threads, batches, prompts, variant, libraryFolder, extra } = task;
  if (libraryFolder !== undefined) chooseOrtLibrary(libraryFolder);
  const [provider] = new ProviderSearch({ wanted: task.provider, options: { libraryFolder, extra } });
  const outputPath = join(cacheDir, 'reference.onnx');
  const { graphPath, shape } =
    variant === '8bit'
      ? ensureDecoderGraph(model, cacheDir)
      : {
          graphPath: outputPath,
          ...buildDecoderGraph({ source: readDecoderSource(model), outputPath, variant }),
        };
  return Decoder.load({
    graphPath,
    shape,
    slots: Math.max(2, ...batches),
    contextTokens: Math.max(512, ...prompts),
    threads,
    spinning: true,
    provider: provider!,
  });
}

/** The logits after every chat prompt go to the file; gives the greedy tokens that follow. */
function writeLogits(): number[][] {
  const all = new Float32Array(chats.length * decoder.vocabSize);
  const replies = chats.map(({ tokens }, i) => {
    const logits = decoder.prefill(0, tokens, 0, true)!;
    all.set(logits, i * decoder.vocabSize);
    const reply = [argmax(logits)];
    while (reply.length < task.replyTokens)
      reply.push(argmax(decoder.decode(0, 1, [reply.at(-1)!], [tokens.length + reply.length - 1])));
    return reply;
  });
  writeFileSync(task.logitsFile, all);
  return replies;
}

function argmax(logits: Float32Array): number {
  return logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
}

function measure(): Figure[] {
  return [
    ...task.prompts.flatMap((length) => [
      medianOf(`prompt ${length}`, () => readPrompt(0, length)),
      // Which on a device is computed elsewhere and copied.
      ...(length === task.prompts[1]
        ? [medianOf(`prompt ${length}, slot 1`, () => readPrompt(1, length))]
        : []),
    ]),
    ...task.batches.map((batch) => medianOf(`decode ${batch}`, () => decodeTogether(batch))),
  ];
}

function medianOf(name: string, once: () => number): Figure {
  once();
  const speeds = Array.from({ length: REPEATS }, once).sort((a, b) => a - b);
  return { name, tokensPerSecond: speeds[Math.floor(REPEATS / 2)]! };
}

function readPrompt(slot: number, length: number): number {
  const tokens = someTokens(length, 0);
  const sinceMs = performance.now();
  for (let past = 0; past < length; past += PROMPT_CHUNK)
    decoder.prefill(slot, tokens.slice(past, past + PROMPT_CHUNK), past, past + PROMPT_CHUNK >= length);
  return perSecond(length, sinceMs);
}

function decodeTogether(batch: number): number {
  const next = someTokens(batch, 3);
  for (let slot = 0; slot < batch; slot++) decoder.prefill(slot, someTokens(DECODE_CONTEXT, slot), 0, true);
  const sinceMs = performance.now();
  for (let step = 0; step < DECODE_STEPS; step++)
    decoder.decode(0, batch, next, new Array(batch).fill(DECODE_CONTEXT + step));
  return perSecond(batch * DECODE_STEPS, sinceMs);
}
