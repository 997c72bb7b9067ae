import koffi from 'koffi';
import { type Handle, type OrtApi, ortApi, POINTER_BYTES } from './api.ts';
import { appendProvider } from './append-provider.ts';
import { DeviceMemory } from './device-memory.ts';
import { dimsOf, type GraphEnd, graphEnds } from './graph-ends.ts';
import type { TensorData } from './pinned.ts';
import type { Provider } from './providers.ts';
import { ELEMENT_TYPE, type Tensor, tensorOver } from './tensor.ts';

export interface SessionOptions {
  readonly threads: number;
  /** Threads wait busily for the next kernel, for `SPIN_US` at most. */
  readonly spinning: boolean;
  /** Default: the CPU. */
  readonly provider?: Provider;
  /** Inputs come in ever new shapes, so that remembering where memory goes for each would only grow. */
  readonly shapesVary?: boolean;
  /** Where the weights of a graph lie that is given as bytes. */
  readonly weightsFolder?: string;
  /** Writes the graph there as it is computed on any CPU: constants folded, norms fused. */
  readonly optimisedPath?: string;
}

/**
 * So long a thread waits busily before it sleeps. A step is some 200 kernels of 20 to 200 µs, and waking a thread for each takes
 * longer than many of them: waiting through the gaps makes a step 1.15 (batch 16) to 1.4 (batch 1) times as fast (SmolLM2-135M, 2 cores) and costs less
 * CPU time than the wake-ups. Longer, up to 1 ms, is no faster; and between two steps the core is free.
 */
const SPIN_US = 100;

/** Source of the names: onnxruntime_session_options_config_keys.h. */
const WEIGHTS_FOLDER = 'session.model_external_initializers_file_folder_path';
const LOG_SEVERITY_ERROR = 3;
/** `GraphOptimizationLevel`: all but the layouts and fusions of one processor. */
const OPTIMISE_EXTENDED = 2;
const ALLOCATOR_DEVICE = 0;
const MEMORY_DEFAULT = 0;

/** A loaded graph, and the native objects around it. Everything made here is released by `close` or by its own release. */
export class OrtSession {
  readonly #api: OrtApi;
  readonly #env: Handle;
  readonly #memory: Handle;
  readonly #session: Handle;

  /** `graph`: a path, or a serialised graph. Throws OrtError when it cannot be loaded. */
  constructor(graph: string | Uint8Array, options: SessionOptions) {
    this.#api = ortApi();
    // Environments are counted inside the library: all sessions of a process share one.
    this.#env = this.#api.create('CreateEnv', LOG_SEVERITY_ERROR, 'qianmen');
    try {
      this.#session = this.#load(graph, options);
      this.#memory = this.#api.create('CreateCpuMemoryInfo', ALLOCATOR_DEVICE, MEMORY_DEFAULT);
    } catch (error) {
      this.#api.release('ReleaseEnv', this.#env);
      throw error;
    }
  }

  #load(graph: string | Uint8Array, sessionOptions: SessionOptions): Handle {
    const { threads, spinning, provider, shapesVary, weightsFolder, optimisedPath } = sessionOptions;
    const options = this.#api.create('CreateSessionOptions');
    try {
      this.#api.call('SetIntraOpNumThreads', options, threads);
      const entry = spinning ? '1' : '0';
      this.#api.call('AddSessionConfigEntry', options, 'session.intra_op.allow_spinning', entry);
      this.#api.call('AddSessionConfigEntry', options, 'session.intra_op.spin_duration_us', String(SPIN_US));
      this.#api.call('AddSessionConfigEntry', options, 'session.record_ep_graph_assignment_info', '1');
      if (shapesVary) this.#api.call('DisableMemPattern', options);
      if (weightsFolder !== undefined)
        this.#api.call('AddSessionConfigEntry', options, WEIGHTS_FOLDER, weightsFolder);
      if (optimisedPath !== undefined) {
        this.#api.call('SetSessionGraphOptimizationLevel', options, OPTIMISE_EXTENDED);
        this.#api.call('SetOptimizedModelFilePath', options, optimisedPath);
      }
      appendProvider(this.#api, options, provider);
      return typeof graph === 'string'
        ? this.#api.create('CreateSession', this.#env, graph, options)
        : this.#api.create('CreateSessionFromArray', this.#env, graph, graph.length, options);
    } finally {
      this.#api.release('ReleaseSessionOptions', options);
    }
  }

  /** A tensor over `data`, in place. */
  tensor(data: TensorData, dims: readonly number[]): Tensor {
    const elements = dims.reduce((product, dim) => product * dim, 1);
    if (elements > data.length)
      throw new RangeError(`a tensor of ${elements} does not fit ${data.length} elements`);
    const type = ELEMENT_TYPE.get(data.constructor)!;
    return { handle: tensorOver(this.#api, this.#memory, data, dims, type), data };
  }

  releaseTensor(tensor: Tensor): void {
    this.#api.release('ReleaseValue', tensor.handle);
  }

  /** The memory in which the provider wants an input. To be closed before the session. */
  memoryOf(inputName: string): DeviceMemory {
    const inputs = this.inputs();
    const index = inputs.findIndex(({ name }) => name === inputName);
    if (index < 0) throw new RangeError(`the graph has no input ${inputName}`);
    const infos = Buffer.alloc(inputs.length * POINTER_BYTES);
    this.#api.call('SessionGetMemoryInfoForInputs', this.#session, infos, inputs.length);
    const info: Handle = koffi.decode(infos, index * POINTER_BYTES, 'void *');
    return new DeviceMemory(this.#api, this.#session, info);
  }

  inputs(): readonly GraphEnd[] {
    return graphEnds(this.#api, this.#session, 'input');
  }

  outputs(): readonly GraphEnd[] {
    return graphEnds(this.#api, this.#session, 'output');
  }

  /** Types of the operators that run on the CPU, whatever the provider. */
  operatorsOnCpu(): ReadonlySet<string> {
    const found = new Set<string>();
    const each = (list: 'Session_GetEpGraphAssignmentInfo' | 'EpAssignedSubgraph_GetNodes', of: Handle) => {
      const items: Handle[] = [null];
      const count = [0];
      this.#api.call(list, of, items, count);
      return Array.from({ length: Number(count[0]) }, (_, i) =>
        koffi.decode(items[0] as object, i * POINTER_BYTES, 'void *'),
      );
    };
    for (const subgraph of each('Session_GetEpGraphAssignmentInfo', this.#session)) {
      if (this.#api.create('EpAssignedSubgraph_GetEpName', subgraph) !== 'CPUExecutionProvider') continue;
      for (const node of each('EpAssignedSubgraph_GetNodes', subgraph))
        found.add(String(this.#api.create('EpAssignedNode_GetOperatorType', node)));
    }
    return found;
  }

  /** Ties tensors to the graph's inputs and outputs by name, for any number of runs. */
  bind(inputs: ReadonlyMap<string, Tensor>, outputs: ReadonlyMap<string, Tensor>): Handle {
    const binding = this.#api.create('CreateIoBinding', this.#session);
    try {
      this.bindInputs(binding, inputs);
      for (const [name, tensor] of outputs) this.#api.call('BindOutput', binding, name, tensor.handle);
    } catch (error) {
      this.releaseBinding(binding);
      throw error;
    }
    return binding;
  }

  /** Binds inputs anew: those that the provider wants in its own memory are copied there now. */
  bindInputs(binding: Handle, inputs: ReadonlyMap<string, Tensor>): void {
    for (const [name, tensor] of inputs) this.#api.call('BindInput', binding, name, tensor.handle);
  }

  releaseBinding(binding: Handle): void {
    this.#api.release('ReleaseIoBinding', binding);
  }

  /** Runs the graph for the dims that an output then has, where its file does not say them. Throws OrtError. */
  outputDims(inputs: ReadonlyMap<string, Tensor>, output: string): number[] {
    const binding = this.bind(inputs, new Map());
    try {
      this.#api.call('BindOutputToDevice', binding, output, this.#memory);
      this.run(binding);
      const allocator = this.#api.create('GetAllocatorWithDefaultOptions');
      const values: Handle[] = [null];
      this.#api.call('GetBoundOutputValues', binding, allocator, values, [0]);
      const value: Handle = koffi.decode(values[0] as object, 0, 'void *');
      this.#api.call('AllocatorFree', allocator, values[0]);
      try {
        const info = this.#api.create('GetTensorTypeAndShape', value);
        try {
          return dimsOf(this.#api, info);
        } finally {
          this.#api.release('ReleaseTensorTypeAndShapeInfo', info);
        }
      } finally {
        this.releaseTensor({ handle: value, data: undefined });
      }
    } finally {
      this.releaseBinding(binding);
    }
  }

  /** Runs the graph once, on the calling thread. Throws OrtError. */
  run(binding: Handle): void {
    this.#api.call('RunWithBinding', this.#session, null, binding);
  }

  /** The same on another thread; several at once may. The binding and its tensors must stay meanwhile. */
  async runAside(binding: Handle): Promise<void> {
    await this.#api.callAside('RunWithBinding', this.#session, null, binding);
  }

  /** Tensors, bindings and memories must have been released before. */
  close(): void {
    this.#api.release('ReleaseMemoryInfo', this.#memory);
    this.#api.release('ReleaseSession', this.#session);
    this.#api.release('ReleaseEnv', this.#env);
  }
}
