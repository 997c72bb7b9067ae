import { availableParallelism } from 'node:os';
import { EncoderSession } from '../../kernels/encoder/session.ts';
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { type EncoderDescription, readEncoderDirectory } from './encoder-directory.ts';
import { EncoderTokenizer } from './encoder-tokenizer.ts';
import type { EncoderInfo, EncoderLoadOptions } from './messages.ts';

/** More threads than this wait for each other more than they compute. */
const MOST_THREADS = 8;

export interface LoadedEncoder {
  readonly session: EncoderSession;
  readonly tokenizer: EncoderTokenizer;
  readonly description: EncoderDescription;
  readonly info: EncoderInfo;
}

/** Reads the directory, loads the graph and runs it once. Throws ModelFileError when the files cannot be used. */
export async function loadEncoder(options: EncoderLoadOptions): Promise<LoadedEncoder> {
  const startedAtMs = performance.now();
  const { directory } = options;
  const description = readEncoderDirectory(directory, options.task);
  const { graphPath, task, padId, pooling, labels } = description;
  const tokenizer = createTokenizer(description, directory);
  const threads = options.threads ?? Math.min(availableParallelism(), MOST_THREADS);
  const session = await EncoderSession.load({
    graphPath,
    threads,
    spinning: options.spinning,
    padId,
    readout: task === 'embed' ? { kind: 'vector', pooling } : { kind: 'logits' },
  });
  const dimensions = await measureDimensions(session, tokenizer, graphPath);
  if (task === 'rerank' && dimensions !== 1)
    throw new ModelFileError(graphPath, `it gives ${dimensions} scores per document; a reranker gives 1`);
  return {
    session,
    tokenizer,
    description,
    info: {
      pid: process.pid,
      architecture: description.architecture,
      task,
      contextTokens: Math.min(options.contextTokens ?? description.maxTokens, description.maxTokens),
      dimensions,
      labels: Array.from(
        { length: task === 'classify' ? dimensions : 0 },
        (_, i) => labels[i] ?? `LABEL_${i}`,
      ),
      independentClasses: description.independentClasses,
      vocabularySize: tokenizer.vocabularySize,
      threads,
      loadMs: Math.round(performance.now() - startedAtMs),
      rssBytes: process.memoryUsage.rss(),
    },
  };
}

function createTokenizer(description: EncoderDescription, directory: string): EncoderTokenizer {
  try {
    return new EncoderTokenizer(description.tokenizer, description.tokenizerConfig);
  } catch (error) {
    throw new ModelFileError(directory, `its tokenizer.json cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** By running the graph once, which also is the first sign that it works. */
async function measureDimensions(
  session: EncoderSession,
  tokenizer: EncoderTokenizer,
  graphPath: string,
): Promise<number> {
  try {
    const [vector] = await session.run([tokenizer.encode('a', 16).row]);
    return vector!.length;
  } catch (error) {
    throw new ModelFileError(graphPath, `it does not run: ${(error as Error).message}`, { cause: error });
  }
}
