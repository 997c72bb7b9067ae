import { type Handle, type OrtApi, ortApi } from './api.ts';
import type { TensorData } from './pinned.ts';

/** `ONNXTensorElementDataType` of the array types that tensors are made of. */
const ELEMENT_TYPE = new Map<unknown, number>([
  [Float32Array, 1],
  [Int32Array, 6],
  [BigInt64Array, 7],
]);

export interface Tensor {
  readonly handle: Handle;
  /** Native code holds a raw pointer into this array: it has to live, and stay where it is, as long as the tensor. */
  readonly data: TensorData;
}

export interface SessionOptions {
  readonly threads: number;
  /** Threads wait busily for the next kernel. */
  readonly spinning: boolean;
}

const LOG_SEVERITY_ERROR = 3;
const ALLOCATOR_DEVICE = 0;
const MEMORY_DEFAULT = 0;

/** A loaded graph, and the native objects around it. Everything made here is released by `close` or by its own release. */
export class OrtSession {
  readonly #api: OrtApi;
  readonly #env: Handle;
  readonly #memory: Handle;
  readonly #session: Handle;

  /** Throws OrtError when the graph cannot be loaded. */
  constructor(graphPath: string, options: SessionOptions) {
    this.#api = ortApi();
    // Environments are counted inside the library: all sessions of a process share one.
    this.#env = this.#api.create('CreateEnv', LOG_SEVERITY_ERROR, 'qianmen');
    try {
      this.#session = this.#load(graphPath, options);
      this.#memory = this.#api.create('CreateCpuMemoryInfo', ALLOCATOR_DEVICE, MEMORY_DEFAULT);
    } catch (error) {
      this.#api.release('ReleaseEnv', this.#env);
      throw error;
    }
  }

  #load(graphPath: string, { threads, spinning }: SessionOptions): Handle {
    const options = this.#api.create('CreateSessionOptions');
    try {
      this.#api.call('SetIntraOpNumThreads', options, threads);
      const entry = spinning ? '1' : '0';
      this.#api.call('AddSessionConfigEntry', options, 'session.intra_op.allow_spinning', entry);
      return this.#api.create('CreateSession', this.#env, graphPath, options);
    } finally {
      this.#api.release('ReleaseSessionOptions', options);
    }
  }

  /** A tensor over `data`, in place. */
  tensor(data: TensorData, dims: readonly number[]): Tensor {
    const elements = dims.reduce((product, dim) => product * dim, 1);
    if (elements > data.length)
      throw new RangeError(`a tensor of ${elements} does not fit ${data.length} elements`);
    const handle = this.#api.create(
      'CreateTensorWithDataAsOrtValue',
      this.#memory,
      data,
      elements * data.BYTES_PER_ELEMENT,
      BigInt64Array.from(dims, (dim) => BigInt(dim)),
      dims.length,
      ELEMENT_TYPE.get(data.constructor),
    );
    return { handle, data };
  }

  releaseTensor(tensor: Tensor): void {
    this.#api.release('ReleaseValue', tensor.handle);
  }

  /** Ties tensors to the graph's inputs and outputs by name, for any number of runs. */
  bind(inputs: ReadonlyMap<string, Tensor>, outputs: ReadonlyMap<string, Tensor>): Handle {
    const binding = this.#api.create('CreateIoBinding', this.#session);
    try {
      for (const [name, tensor] of inputs) this.#api.call('BindInput', binding, name, tensor.handle);
      for (const [name, tensor] of outputs) this.#api.call('BindOutput', binding, name, tensor.handle);
    } catch (error) {
      this.releaseBinding(binding);
      throw error;
    }
    return binding;
  }

  releaseBinding(binding: Handle): void {
    this.#api.release('ReleaseIoBinding', binding);
  }

  /** Runs the graph once, on the calling thread. Throws OrtError. */
  run(binding: Handle): void {
    this.#api.call('RunWithBinding', this.#session, null, binding);
  }

  /** Tensors and bindings must have been released before. */
  close(): void {
    this.#api.release('ReleaseMemoryInfo', this.#memory);
    this.#api.release('ReleaseSession', this.#session);
    this.#api.release('ReleaseEnv', this.#env);
  }
}
