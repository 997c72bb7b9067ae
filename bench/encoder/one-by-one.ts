/**
 * The plain way: one process, one text after the other, the same graph and tokenizer. Prints texts per second and
 * milliseconds of processor time per text.
 *
 *   node bench/encoder/one-by-one.ts DIRECTORY THREADS SECONDS CORPUS
 */
import { loadEncoder } from '../../src/encoder/load-encoder.ts';
import { type Corpus, texts } from './texts.ts';

const [directory = '', threads = '1', seconds = '5', corpus = 'mixed'] = process.argv.slice(2);
const { session, tokenizer, info } = await loadEncoder({
  directory,
  threads: Number(threads),
  batchTokens: 4_096,
  spinning: false,
});
const inputs = texts(512, corpus as Corpus);
const embed = (text: string) => session.run([tokenizer.encode(text, info.contextTokens).row]);
for (const text of inputs.slice(0, 16)) await embed(text);
const startedAtMs = performance.now();
const usedBefore = process.cpuUsage();
let done = 0;
while (performance.now() - startedAtMs < Number(seconds) * 1000) await embed(inputs[done++ % inputs.length]!);
const { user, system } = process.cpuUsage(usedBefore);
const rate = (done / (performance.now() - startedAtMs)) * 1000;
process.stdout.write(`${JSON.stringify({ rate, cpuMs: (user + system) / 1000 / done })}\n`);
