/** What computes a graph: ONNX Runtime's execution providers that can be configured. */
export const PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'webgpu', 'coreml', 'dml'] as const;

export type ProviderName = (typeof PROVIDERS)[number];

export interface ProviderOptions {
  /** Which of several GPUs; for `cuda`, `tensorrt` and `dml`. Default: the first. */
  readonly deviceId?: number | undefined;
  /** Most memory that ONNX Runtime takes on the device; for `cuda` and `tensorrt`. Default: no limit. */
  readonly memoryLimitBytes?: number | undefined;
  /** Folder of another ONNX Runtime than that of onnxruntime-node, such as one built for CUDA. */
  readonly libraryFolder?: string | undefined;
  /** Further options, under the names that ONNX Runtime gives them. */
  readonly extra?: Readonly<Record<string, string>> | undefined;
}

/** A provider as it is to be used. */
export interface Provider {
  readonly name: ProviderName;
  readonly options: ProviderOptions;
}

export const CPU: Provider = { name: 'cpu', options: {} };

/** How a provider's kernels want keys and values. */
export interface KvTraits {
  /** Where they read and write. */
  readonly memory: 'host' | 'device';
  /** The float type that its GroupQueryAttention exists for. */
  readonly attention: 'float32' | 'float16';
}

interface ProviderTraits extends KvTraits {
  /** As ONNX Runtime calls it where kernels are assigned. */
  readonly runtimeName: string;
  /** Where it exists, as `process.platform` says it. */
  readonly platforms: readonly NodeJS.Platform[];
  /** Options of ours that it understands. */
  readonly takes: readonly ('deviceId' | 'memoryLimitBytes')[];
}

/**
 * Of every operator in our 8-bit graph CUDA and WebGPU have a kernel, 8-bit MatMulNBits and GatherBlockQuantized included,
 * with one exception: CUDA's GroupQueryAttention computes in half precision only, so that keys and values are half
 * precision there. TensorRT has none of ONNX Runtime's own operators: CUDA, which it falls back to, runs those. DirectML
 * has GroupQueryAttention and MatMulNBits; CoreML has neither, and leaves them to the CPU.
 */
export const TRAITS: Readonly<Record<ProviderName, ProviderTraits>> = {
  cpu: {
    runtimeName: 'CPUExecutionProvider',
    platforms: ['linux', 'darwin', 'win32'],
    takes: [],
    memory: 'host',
    attention: 'float32',
  },
  cuda: {
    runtimeName: 'CUDAExecutionProvider',
    platforms: ['linux', 'win32'],
    takes: ['deviceId', 'memoryLimitBytes'],
    memory: 'device',
    attention: 'float16',
  },
  tensorrt: {
    runtimeName: 'TensorrtExecutionProvider',
    platforms: ['linux', 'win32'],
    takes: ['deviceId', 'memoryLimitBytes'],
    memory: 'device',
    attention: 'float16',
  },
  webgpu: {
    runtimeName: 'WebGpuExecutionProvider',
    platforms: ['linux', 'darwin', 'win32'],
    takes: [],
    memory: 'device',
    attention: 'float32',
  },
  coreml: {
    runtimeName: 'CoreMLExecutionProvider',
    platforms: ['darwin'],
    takes: [],
    memory: 'host',
    attention: 'float32',
  },
  dml: {
    runtimeName: 'DmlExecutionProvider',
    platforms: ['win32'],
    takes: ['deviceId'],
    memory: 'device',
    attention: 'float32',
  },
};
