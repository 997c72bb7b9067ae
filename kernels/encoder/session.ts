import { ModelFileError } from '../model-file-error.ts';
import { type Handle, OrtError } from '../ort/api.ts';
import type { GraphEnd } from '../ort/graph-ends.ts';
import { pinned } from '../ort/pinned.ts';
import { assertRunsOn } from '../ort/provider-coverage.ts';
import { CPU, type Provider } from '../ort/providers.ts';
import { OrtSession } from '../ort/session.ts';
import { ELEMENT_TYPE, type Tensor } from '../ort/tensor.ts';
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

interface GraphOutput {
  readonly name: string;
  /** [B, size] (pooled inside the graph, or logits) or [B, S, size]. */
  readonly rank: 2 | 3;
}

/** A loaded encoder graph. */
export class EncoderSession {
  readonly #session: OrtSession;
  readonly #inputs: readonly GraphInput[];
  readonly #output: GraphOutput;
  /** Numbers per row, or per token, of the output. */
  readonly #size: number;
  readonly #options: EncoderSessionOptions;

  /**
   * Loads the graph and runs it for a first time. Throws ModelFileError when it does not load, does not run or is not an encoder's,
   * ProviderError when the provider would leave its work to the CPU.
   */
  static async load(options: EncoderSessionOptions): Promise<EncoderSession> {
    const { graphPath, threads, spinning, provider = CPU } = options;
    const refuse = (what: string, cause: unknown) =>
      new ModelFileError(graphPath, `${what}: ${(cause as Error).message}`, { cause });
    let session: OrtSession;
    try {
      session = new OrtSession(graphPath, { threads, spinning, provider, shapesVary: true });
    } catch (error) {
      throw refuse('ONNX Runtime cannot load it', error);
    }
    try {
      assertRunsOn(provider, session, WORK, REMEDY);
      return new EncoderSession(session, options);
    } catch (error) {
      session.close();
      throw error instanceof OrtError ? refuse('it does not run', error) : error;
    }
  }

  private constructor(session: OrtSession, options: EncoderSessionOptions) {
    this.#session = session;
    this.#options = options;
    this.#inputs = checkedInputs(session.inputs(), options.graphPath);
    this.#output = chooseOutput(session.outputs(), options);
    const feeds = this.#feeds([{ ids: [options.padId] }]);
    try {
      this.#size = session.outputDims(feeds, this.#output.name).at(-1)!;
    } finally {
      for (const tensor of feeds.values()) session.releaseTensor(tensor);
    }
  }

  /**
   * One vector per row: pooled, not normalised; or logits. Rows are padded to the longest; padding changes nothing. Computes on the
   * calling thread, so that whoever calls it decides how much a batch may hold up. Throws OrtError.
   */
  async run(rows: readonly EncoderRow[]): Promise<Float32Array[]> {
    return this.#run(rows, (binding) => this.#session.run(binding));
  }

  /** The same on another thread; several at once may. */
  async runAside(rows: readonly EncoderRow[]): Promise<Float32Array[]> {
    return this.#run(rows, (binding) => this.#session.runAside(binding));
  }

  /** Nothing may run any more. */
  close(): void {
    this.#session.close();
  }

  async #run(
    rows: readonly EncoderRow[],
    run: (binding: Handle) => void | Promise<void>,
  ): Promise<Float32Array[]> {
    const session = this.#session;
    const { name, rank } = this.#output;
    const dims = rank === 3 ? [rows.length, longest(rows), this.#size] : [rows.length, this.#size];
    const data = pinned(
      Float32Array,
      dims.reduce((product, dim) => product * dim, 1),
    );
    const feeds = this.#feeds(rows);
    const output = session.tensor(data, dims);
    try {
      const binding = session.bind(feeds, new Map([[name, output]]));
      try {
        await run(binding);
      } finally {
        session.releaseBinding(binding);
      }
    } finally {
      for (const tensor of [...feeds.values(), output]) session.releaseTensor(tensor);
    }
    return this.#resultsOf(data, rows);
  }

  #feeds(rows: readonly EncoderRow[]): ReadonlyMap<string, Tensor> {
    const dims = [rows.length, longest(rows)];
    const feeds = feedsOf(this.#inputs, rows, this.#options.padId);
    return new Map([...feeds].map(([name, values]) => [name, this.#session.tensor(values, dims)]));
  }

  #resultsOf(data: Float32Array, rows: readonly EncoderRow[]): Float32Array[] {
    const { readout } = this.#options;
    const size = this.#size;
    if (this.#output.rank === 3 && readout.kind === 'vector') {
      const [sequenceLength, lengths] = [longest(rows), rows.map(({ ids }) => ids.length)];
      return pool({ data, sequenceLength, hiddenSize: size, lengths }, readout.pooling);
    }
    return rows.map((_, row) => data.slice(row * size, (row + 1) * size));
  }
}

/** Operators that do most of the work. */
const WORK = [
  'Attention',
  'Conv',
  'FusedMatMul',
  'Gemm',
  'MatMul',
  'MatMulInteger',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
  'MultiHeadAttention',
  'QAttention',
  'QLinearMatMul',
];

/** A file in integers is slower with copies to and fro than on the CPU alone. */
const REMEDY = "Use the model's file in float32 or float16, choose another provider, or `auto`.";

function checkedInputs(inputs: readonly GraphEnd[], graphPath: string): GraphInput[] {
  const names = inputs.map(({ name }) => name);
  if (names.some((name) => !KNOWN_INPUTS.has(name)) || !names.includes('input_ids'))
    throw new ModelFileError(
      graphPath,
      `its inputs are ${names.join(', ')}; an encoder has input_ids, attention_mask, token_type_ids or position_ids`,
    );
  return inputs.map(({ name, type }) => ({
    name,
    type: type === ELEMENT_TYPE.get(Int32Array) ? 'int32' : 'int64',
  }));
}

const VECTOR_OUTPUTS = ['sentence_embedding', 'last_hidden_state', 'token_embeddings'];

/** A vector that the graph itself pools is preferred: whoever exported it knew how. */
function chooseOutput(ends: readonly GraphEnd[], { graphPath, readout }: EncoderSessionOptions): GraphOutput {
  const outputs = ends.map(({ name, type, dims }) => ({
    name,
    rank: type === ELEMENT_TYPE.get(Float32Array) ? dims.length : 0,
  }));
  const isFit = (rank: number): rank is 2 | 3 => rank === 2 || (rank === 3 && readout.kind === 'vector');
  const wanted = readout.kind === 'logits' ? ['logits'] : VECTOR_OUTPUTS;
  const named = wanted.flatMap((name) => outputs.filter((output) => output.name === name));
  for (const { name, rank } of [...named, ...outputs.slice(0, 1)]) if (isFit(rank)) return { name, rank };
  throw new ModelFileError(
    graphPath,
    `its outputs are ${ends.map(({ name }) => name).join(', ')}; none is a float32 ${wanted.join(' or ')}`,
  );
}
