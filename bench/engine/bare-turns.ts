/**
 * The project's decoder without server and sampling, for as long as somebody tells it what to decode: a `Decoding` in JSON in each line
 * of its input, tokens per second in each of its output.
 */
import { createInterface } from 'node:readline';
import { Decoder } from '../../kernels/decoder.ts';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import { decodeTogether } from './decode-together.ts';

export interface BareOptions {
  readonly model: string;
  readonly cacheDir: string;
  readonly threads: number;
  readonly slots: number;
  /** Positions that a slot has room for. */
  readonly contextTokens: number;
}

const { model, cacheDir, ...options }: BareOptions = JSON.parse(process.argv[2] ?? '');
const { graphPath, shape } = ensureDecoderGraph(model, cacheDir);
const decoder = Decoder.load({ graphPath, shape, ...options, spinning: true });
for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${decodeTogether(decoder, JSON.parse(line))}\n`);
decoder.close();
