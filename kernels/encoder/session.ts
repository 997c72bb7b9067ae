import { InferenceSession, Tensor } from 'onnxruntime-node';
import { ModelFileError } from '../model-file-error.ts';
import { ProviderError } from '../ort/provider-error.ts';
import { CPU, type Provider } from '../ort/providers.ts';
import { type Pooling, pool } from './pooling.ts';

/** One text as the graph sees it. At least one token. */
export interface EncoderRow {
  readonly ids: ArrayLike<number>;
  /** The segment of each token; undefined: all 0. */
  readonly typeIds?: ArrayLike<number> | undefined;
}

/** What to read out of the graph: pooled vectors, or the logits of a sequence classifier. */
export type EncoderReadout =
  | { readonly kind: 'vector'; readonly pooling: Pooling }
  | { readonly kind: 'logits' };

export interface EncoderSessionOptions {
  readonly graphPath: string;
  readonly threads: number;
  /** Threads wait busily for the next kernel. */
  readonly spinning: boolean;
  /** Default: the CPU. */
  readonly provider?: Provider;
  readonly padId: number;
  readonly readout: EncoderReadout;
}

/** Names of the inputs that graphs exported by Hugging Face's optimum have. */
const KNOWN_INPUTS: ReadonlySet<string> = new Set([
  'input_ids',
  'attention_mask',
  'token_type_ids',
  'position_ids',
]);

interface Output {
  readonly name: string;
  /** [B, H] (pooled inside the graph, or logits) or [B, S, H]. */
  readonly rank: 2 | 3;
}

/**
 * A loaded encoder graph. `run` computes on the calling thread: onnxruntime-node's promise resolves only once the work is done,
 * so that whoever calls it decides how much a batch may hold up.
 */
export class EncoderSession {
  readonly #session: InferenceSession;
  readonly #output: Output;
  readonly #options: EncoderSessionOptions;

  private constructor(session: InferenceSession, output: Output, options: EncoderSessionOptions) {
    this.#session = session;
    this.#output = output;
    this.#options = options;
  }

  /** Throws ModelFileError when the graph cannot be loaded or is not an encoder's. */
  static async load(options: EncoderSessionOptions): Promise<EncoderSession> {
    const { graphPath, threads, spinning } = options;
    let session: InferenceSession;
    try {
      session = await InferenceSession.create(graphPath, {
        executionProviders: executionProviders(options.provider),
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        // Batches come in ever new shapes: a remembered memory plan for each would only grow.
        enableMemPattern: false,
        logSeverityLevel: 3,
        extra: { session: { intra_op: { allow_spinning: spinning ? '1' : '0', spin_duration_us: '100' } } },
      });
    } catch (error) {
      throw new ModelFileError(graphPath, `ONNX Runtime cannot load it: ${(error as Error).message}`, {
        cause: error,
      });
    }
    const unknown = session.inputNames.find((name) => !KNOWN_INPUTS.has(name));
    if (unknown !== undefined || !session.inputNames.includes('input_ids'))
      throw new ModelFileError(
        graphPath,
        `its inputs are ${session.inputNames.join(', ')}; an encoder has input_ids, attention_mask, token_type_ids or position_ids`,
      );
    return new EncoderSession(session, chooseOutput(session, options), options);
  }

  /** One vector per row: pooled, not normalised; or logits. Rows are padded to the longest; padding changes nothing. */
  async run(rows: readonly EncoderRow[]): Promise<Float32Array[]> {
    const lengths = rows.map((row) => row.ids.length);
    const sequenceLength = Math.max(...lengths);
    const { name, rank } = this.#output;
    const results = await this.#session.run(this.#feeds(rows, sequenceLength), [name]);
    const { data, dims } = results[name]!;
    const hiddenSize = dims.at(-1)!;
    if (!(data instanceof Float32Array) || dims.length !== rank || dims[0] !== rows.length)
      throw new Error(`the graph gave ${name} as ${results[name]!.type} [${dims.join(', ')}]`);
    const { readout } = this.#options;
    if (rank === 3 && readout.kind === 'vector')
      return pool({ data, sequenceLength, hiddenSize, lengths }, readout.pooling);
    return rows.map((_, row) => data.slice(row * hiddenSize, (row + 1) * hiddenSize));
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  #feeds(rows: readonly EncoderRow[], sequenceLength: number): Record<string, Tensor> {
    const dims = [rows.length, sequenceLength];
    const { padId } = this.#options;
    const feeds: Record<string, Tensor> = {};
    for (const { name, type } of this.#session.inputMetadata as readonly { name: string; type: string }[]) {
      const values = new Int32Array(rows.length * sequenceLength).fill(name === 'input_ids' ? padId : 0);
      for (const [row, { ids, typeIds }] of rows.entries()) {
        const start = row * sequenceLength;
        if (name === 'input_ids') values.set(ids, start);
        else if (name === 'attention_mask') values.fill(1, start, start + ids.length);
        else if (name === 'token_type_ids' && typeIds) values.set(typeIds, start);
        else if (name === 'position_ids') for (let i = 0; i < ids.length; i++) values[start + i] = i;
      }
      feeds[name] =
        type === 'int32'
          ? new Tensor('int32', values, dims)
          : new Tensor('int64', BigInt64Array.from(values, BigInt), dims);
    }
    return feeds;
  }
}

/** As onnxruntime-node takes them, which calls them as we do and knows fewer options. What a GPU has no kernel for runs on the CPU. */
function executionProviders({ name, options }: Provider = CPU): InferenceSession.ExecutionProviderConfig[] {
  if (options.memoryLimitBytes !== undefined || Object.keys(options.extra ?? {}).length > 0)
    throw new ProviderError(name, 'for encoders it takes deviceId alone', 'Leave the other options out.');
  const { deviceId } = options;
  return [deviceId === undefined ? name : { name, deviceId }, 'cpu'];
}

const VECTOR_OUTPUTS = ['sentence_embedding', 'last_hidden_state', 'token_embeddings'];

/** A vector pooled by the graph itself is preferred: whoever exported it knew how. */
function chooseOutput(session: InferenceSession, { graphPath, readout }: EncoderSessionOptions): Output {
  const outputs = session.outputMetadata.map((meta) => ({
    name: meta.name,
    rank: meta.isTensor && meta.type === 'float32' ? meta.shape.length : 0,
  }));
  const isFit = (rank: number): rank is 2 | 3 => rank === 2 || (rank === 3 && readout.kind === 'vector');
  const wanted = readout.kind === 'logits' ? ['logits'] : VECTOR_OUTPUTS;
  const named = wanted.flatMap((name) => outputs.filter((output) => output.name === name));
  for (const { name, rank } of [...named, ...outputs.slice(0, 1)]) if (isFit(rank)) return { name, rank };
  throw new ModelFileError(
    graphPath,
    `its outputs are ${session.outputNames.join(', ')}; none is a float32 ${wanted.join(' or ')}`,
  );
}
