import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TRUNCATE_TOKENS } from '../../../src/difficulty/learnt-head.ts';
import { createLocalEncoder } from '../../../src/encoder/local-encoder.ts';

/** Texts asked about at once. */
const AT_ONCE = 64;

/**
 * What a local encoder makes of the texts: the rows of a matrix. Kept in a file, as it takes minutes.
 *
 * @param directory Of the encoder.
 * @param cache Folder of such files.
 */
export async function embeddingsOf(
  texts: readonly string[],
  directory: string,
  cache: string,
): Promise<Float32Array[]> {
  const made = createHash('sha256').update(readFileSync(join(directory, 'model.onnx')));
  const name = made.update(JSON.stringify([TRUNCATE_TOKENS, texts])).digest('hex');
  const file = join(cache, `embeddings-${name.slice(0, 16)}.f32`);
  if (!existsSync(file)) {
    mkdirSync(cache, { recursive: true });
    writeFileSync(file, await computed(texts, directory));
  }
  const kept = readFileSync(file);
  const all = new Float32Array(kept.buffer, kept.byteOffset, kept.length / 4);
  const dimensions = all.length / texts.length;
  return texts.map((_, i) => all.subarray(i * dimensions, (i + 1) * dimensions));
}

async function computed(texts: readonly string[], directory: string) {
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
          truncateTokens: TRUNCATE_TOKENS,
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
