import { InferenceSession, Tensor } from 'onnxruntime-node';
import { ModelFileError } from '../model-file-error.ts';
import { ProviderError } from '../ort/provider-error.ts';
import { CPU, type Provider } from '../ort/providers.ts';
import { type EncoderRow, feedsOf, type GraphInput, KNOWN_INPUTS, longest } from './feeds.ts';
import { type Pooling, pool } from './pooling.ts';

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

export interface GraphOutput {
  readonly name: string;
  /** [B, H] (pooled inside the graph, or logits) or [B, S, H]. */
  readonly rank: 2 | 3;
}

/**
 * A loaded encoder graph. `run` computes on the calling thread: onnxruntime-node's promise resolves only once the work is done,
 * so that whoever calls it decides how much a batch may hold up.
 */
export class EncoderSession {
  readonly inputs: readonly GraphInput[];
  readonly output: GraphOutput;
  readonly #session: InferenceSession;
  readonly #options: EncoderSessionOptions;

  private constructor(session: InferenceSession, output: GraphOutput, options: EncoderSessionOptions) {
    this.#session = session;
    this.inputs = session.inputMetadata as unknown as readonly GraphInput[];
    this.output = output;
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
    const { name, rank } = this.output;
    const dims = [rows.length, longest(rows)];
    const feeds: Record<string, Tensor> = {};
    for (const [input, values] of feedsOf(this.inputs, rows, this.#options.padId))
      feeds[input] =
        values instanceof Int32Array ? new Tensor('int32', values, dims) : new Tensor('int64', values, dims);
    const { data, dims: given, type } = (await this.#session.run(feeds, [name]))[name]!;
    if (!(data instanceof Float32Array) || given.length !== rank || given[0] !== rows.length)
      throw new Error(`the graph gave ${name} as ${type} [${given.join(', ')}]`);
    return resultsOf(data, rows, this.output, this.#options.readout);
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}

/** A batch's output as one vector per row. */
export function resultsOf(
  data: Float32Array,
  rows: readonly EncoderRow[],
  { rank }: GraphOutput,
  readout: EncoderReadout,
): Float32Array[] {
  if (rank === 3 && readout.kind === 'vector') {
    const [sequenceLength, lengths] = [longest(rows), rows.map(({ ids }) => ids.length)];
    const hiddenSize = data.length / (rows.length * sequenceLength);
    return pool({ data, sequenceLength, hiddenSize, lengths }, readout.pooling);
  }
  const size = data.length / rows.length;
  return rows.map((_, row) => data.slice(row * size, (row + 1) * size));
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
function chooseOutput(session: InferenceSession, { graphPath, readout }: EncoderSessionOptions): GraphOutput {
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
