/**
 * The plain way: one process, one text after the other, the same graph and tokenizer. Prints texts per second.
 *
 *   node bench/encoder/one-by-one.ts DIRECTORY THREADS SECONDS
 */
import { loadEncoder } from '../../src/encoder/load-encoder.ts';
import { texts } from './texts.ts';

const [directory = '', threads = '1', seconds = '5'] = process.argv.slice(2);
const { session, tokenizer, info } = await loadEncoder({
  directory,
  threads: Number(threads),
  batchTokens: 4_096,
  spinning: false,
});
const inputs = texts(512);
const embed = (text: string) => session.run([tokenizer.encode(text, info.contextTokens).row]);
for (const text of inputs.slice(0, 16)) await embed(text);
const startedAtMs = performance.now();
let done = 0;
while (performance.now() - startedAtMs < Number(seconds) * 1000) await embed(inputs[done++ % inputs.length]!);
process.stdout.write(`${(done / (performance.now() - startedAtMs)) * 1000}\n`);
