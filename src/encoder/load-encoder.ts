import { availableParallelism } from 'node:os';
import type { EncoderRow } from '../../kernels/encoder/feeds.ts';
import { ensureIntegerGraph } from '../../kernels/encoder/integer-cache.ts';
import { EncoderLanes } from '../../kernels/encoder/lanes.ts';
import { EncoderSession, type EncoderSessionOptions } from '../../kernels/encoder/session.ts';
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import { onProvider } from '../model-process/on-provider.ts';
import { type EncoderDescription, readEncoderDirectory } from './encoder-directory.ts';
import { activationBytes, MOST_DOUBLED_BYTES, storedBytes } from './encoder-memory.ts';
import { EncoderTokenizer } from './encoder-tokenizer.ts';
import type { EncoderInfo, EncoderLoadOptions } from './messages.ts';

/** The most tokens of a sample; every encoder takes as many. */
const SAMPLE_TOKENS = 64;

/** More threads than this would wait for each other more than they compute. */
const MOST_THREADS = 8;

export interface LoadedEncoder {
  readonly session: EncoderSession;
  readonly lanes: EncoderLanes | undefined;
  readonly tokenizer: EncoderTokenizer;
  readonly description: EncoderDescription;
  readonly info: EncoderInfo;
}

/** Reads the directory, loads the graph and runs it once. Throws ModelFileError when the files cannot be used,
 * ProviderError when the provider that is wished for cannot. */
export async function loadEncoder(options: EncoderLoadOptions): Promise<LoadedEncoder> {
  const startedAtMs = performance.now();
  const { directory } = options;
  const description = readEncoderDirectory(directory, options.task);
  const { graphPath, task, padId, pooling, labels } = description;
  const tokenizer = createTokenizer(description, directory);
  const threads = options.threads ?? Math.min(availableParallelism(), MOST_THREADS);
  const { loaded, ...providerInfo } = await onProvider(options, async (provider) => {
    try {
      const wanted: EncoderSessionOptions = {
        graphPath,
        threads,
        spinning: options.spinning,
        provider,
        padId,
        readout: task === 'embed' ? { kind: 'vector', pooling } : { kind: 'logits' },
      };
      return await loadSession(wanted, tokenizer, options);
    } catch (error) {
      if (provider.name === 'cpu' || error instanceof ProviderError) throw error;
      const { message } = error as Error;
      const remedy = 'Choose another provider, or `auto`.';
      throw new ProviderError(provider.name, message, remedy, { cause: error });
    }
  });
  const { session, lanes } = loaded;
  const { dimensions, rowsIndependent } = loaded.probed;
  if (task === 'rerank' && dimensions !== 1)
    throw new ModelFileError(graphPath, `it gives ${dimensions} scores per document; a reranker gives 1`);
  const contextTokens = Math.min(options.contextTokens ?? description.maxTokens, description.maxTokens);
  return {
    session,
    lanes,
    tokenizer,
    description,
    info: {
      ...providerInfo,
      pid: process.pid,
      architecture: description.architecture,
      task,
      contextTokens,
      dimensions,
      rowsIndependent,
      integers: loaded.integers,
      lanes: lanes?.count ?? 0,
      labels: Array.from(
        { length: task === 'classify' ? dimensions : 0 },
        (_, i) => labels[i] ?? `LABEL_${i}`,
      ),
      independentClasses: description.independentClasses,
      vocabularySize: tokenizer.vocabularySize,
      threads,
      loadMs: Math.round(performance.now() - startedAtMs),
      rssBytes: process.memoryUsage.rss(),
      activationBytes: activationBytes(
        description.hiddenSize,
        rowsIndependent ? Math.max(options.batchTokens, contextTokens) : contextTokens,
      ),
    },
  };
}

async function loadSession(
  wanted: EncoderSessionOptions,
  tokenizer: EncoderTokenizer,
  options: EncoderLoadOptions,
) {
  const { graphPath } = wanted;
  if (options.provider === 'auto') refuseSlower(wanted);
  const integerGraph = await integerGraphFor(wanted, tokenizer, options);
  const chosen = { ...wanted, graphPath: integerGraph ?? graphPath };
  const session = await EncoderSession.load(chosen);
  try {
    const probed = await probe(session, tokenizer, graphPath);
    return { session, lanes: await lanesFor(chosen), integers: integerGraph !== undefined, probed };
  } catch (error) {
    session.close();
    throw error;
  }
}

/**
 * Throws ProviderError where `auto` had better go on to the next: a small model consists of many short kernels, for
 * each of which WebGPU waits longer than it computes. MiniLM on an H100, beside 8 cores: 0.15 to 0.8 times as many
 * texts per second, CUDA 1.2 to 4 times.
 */
function refuseSlower({ provider, graphPath }: EncoderSessionOptions): void {
  if (provider?.name !== 'webgpu' || storedBytes(graphPath) > MOST_DOUBLED_BYTES) return;
  throw new ProviderError(
    'webgpu',
    'a small encoder is slower on it than on the CPU',
    'Name it to have it used.',
  );
}

/** A second copy of the weights is worth its memory for small models only; the kernels of large ones keep several threads busy. */
async function lanesFor(options: EncoderSessionOptions): Promise<EncoderLanes | undefined> {
  const { threads, provider, graphPath } = options;
  const pays = threads > 1 && provider?.name === 'cpu' && storedBytes(graphPath) <= MOST_DOUBLED_BYTES;
  return pays ? await EncoderLanes.load(options) : undefined;
}

/** Of several kinds and lengths, down to the shortest, in which rounding shows most. */
const SAMPLE_TEXTS = [
  'OK',
  'How do I reset my password?',
  'The invoice of March was paid twice; please refund one of the payments.',
  'SELECT name FROM users WHERE id = 7;',
  'Der Zug nach München fährt heute von Gleis 9 ab.',
  '今天天气很好，我们去公园散步。',
  'Quantum chromodynamics describes the strong interaction. '.repeat(8),
];

/** Undefined: the file's own graph is to be used; also where nothing may be written, or the disk is full. */
async function integerGraphFor(
  session: EncoderSessionOptions,
  tokenizer: EncoderTokenizer,
  { cacheDirs, integers }: EncoderLoadOptions,
): Promise<string | undefined> {
  if (!integers || session.readout.kind !== 'vector' || session.provider?.name !== 'cpu') return undefined;
  try {
    return await ensureIntegerGraph({ session, samples: samplesFor(tokenizer), cacheDirs });
  } catch (error) {
    process.stderr.write(`computed as the file has it: ${String(error)}\n`);
    return undefined;
  }
}

function samplesFor(tokenizer: EncoderTokenizer): EncoderRow[] {
  return SAMPLE_TEXTS.map((text) => tokenizer.encode(text, SAMPLE_TOKENS).row);
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

/**
 * How far a number of a row may differ, relative to the row's largest: rounding differs by far less, quantisation by
 * far more.
 */
const SAME = 1e-3;

interface Probed {
  readonly dimensions: number;
  readonly rowsIndependent: boolean;
}

/**
 * Runs the graph, which also is the first sign that it works: a short row alone, and beside a long one. Graphs whose
 * activations are quantised dynamically (`DynamicQuantizeLinear`) take one scale for the whole batch, so that what else
 * is in it shows in every row.
 */
async function probe(
  session: EncoderSession,
  tokenizer: EncoderTokenizer,
  graphPath: string,
): Promise<Probed> {
  const short = { ids: tokenizer.encode('a', 16).row.ids };
  const step = Math.max(1, Math.floor(tokenizer.vocabularySize / 12));
  const long = { ids: Array.from({ length: 12 }, (_, i) => (i * step) % tokenizer.vocabularySize) };
  try {
    await session.run([short]);
  } catch (error) {
    throw new ModelFileError(graphPath, `it does not run: ${(error as Error).message}`, { cause: error });
  }
  await lookUpLast(session, tokenizer, graphPath);
  try {
    const alone = [...(await session.run([short])), ...(await session.run([long]))];
    const together = await session.run([short, long]);
    return {
      dimensions: alone[0]!.length,
      rowsIndependent: alone.every((row, i) => isSame(row, together[i]!)),
    };
  } catch (error) {
    throw new ModelFileError(graphPath, `it does not run: ${(error as Error).message}`, { cause: error });
  }
}

/** Looks up the last token: a tokenizer of another model has ids for which this one has no embedding. */
async function lookUpLast(
  session: EncoderSession,
  { vocabularySize }: EncoderTokenizer,
  graphPath: string,
): Promise<void> {
  try {
    await session.run([{ ids: [vocabularySize - 1] }]);
  } catch (error) {
    throw new ModelFileError(
      graphPath,
      `tokenizer.json has ids up to ${vocabularySize - 1}, and not all have an embedding in the graph: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.every((value, i) => Math.abs(value - b[i]!) <= SAME * largest);
}
