import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createLocalEncoder } from '../../../src/encoder/local-encoder.ts';

/** Texts asked about at once. */
const AT_ONCE = 64;

/**
 * What a local encoder makes of the texts: the rows of a matrix. Kept in a file, as it takes minutes.
 *
 * @param model Directory of the encoder.
 * @param truncateTokens As in serving.
 */
export async function embeddingsOf(
  texts: readonly string[],
  model: string,
  truncateTokens: number,
  cache: string,
): Promise<Float32Array[]> {
  if (!existsSync(cache)) {
    mkdirSync(dirname(cache), { recursive: true });
    writeFileSync(cache, await computed(texts, model, truncateTokens));
  }
  const kept = readFileSync(cache);
  const dimensions = kept.length / 4 / texts.length;
  if (!Number.isInteger(dimensions)) throw new Error(`${cache} was made from other texts: remove it`);
  const all = new Float32Array(kept.buffer, kept.byteOffset, kept.length / 4);
  return texts.map((_, i) => all.subarray(i * dimensions, (i + 1) * dimensions));
}

async function computed(texts: readonly string[], directory: string, truncateTokens: number) {
  const encoder = createLocalEncoder({ name: 'encoder', directory, emit: () => {} });
  const parts: Buffer[] = [];
  try {
    await encoder.ready;
    // The longest together: a batch is as long as its longest.
    const order = texts.map((_, i) => i).sort((a, b) => texts[a]!.length - texts[b]!.length);
    for (let i = 0; i < order.length; i += AT_ONCE) {
      const some = order.slice(i, i + AT_ONCE);
      const { vectors } = await encoder.embed(
        {
          id: `${i}`,
          model: 'encoder',
          endpoint: 'embeddings',
          wire: { dialect: 'openai', path: '/embeddings', body: Buffer.alloc(0) },
          inputs: some.map((at) => texts[at]!),
          dimensions: undefined,
          truncateTokens,
        },
        { signal: AbortSignal.timeout(120_000) },
      );
      some.forEach((at, j) => {
        parts[at] = Buffer.from(new Float32Array(vectors[j]!).buffer);
      });
      if (i % (AT_ONCE * 20) === 0) console.log(`${i} of ${texts.length} texts read`);
    }
  } finally {
    await encoder.close();
  }
  return Buffer.concat(parts);
}
