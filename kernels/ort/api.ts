import koffi from 'koffi';
import { ortLibrary } from './library.ts';

/** An opaque native pointer. */
export type Handle = unknown;

/** Anything that ONNX Runtime refused; the message is its own. */
export class OrtError extends Error {
  override readonly name = 'OrtError';
}

/** The version of the table below; newer libraries still serve it. */
const API_VERSION = 24;

/** `ORTCHAR_T`, in which paths are given. */
const PATH = process.platform === 'win32' ? 'const char16_t *' : 'const char *';

/**
 * The functions in use: position in the OrtApi table (append-only, so positions are stable) and C signature (nameless: a name may be defined only once in a process). Source:
 * onnxruntime_c_api.h.
 */
const FUNCTIONS = {
  GetErrorMessage: [2, 'const char *(void *status)'],
  CreateEnv: [3, 'void *(int severity, const char *name, _Out_ void **env)'],
  CreateSession: [7, `void *(void *env, ${PATH} path, void *options, _Out_ void **session)`],
  CreateSessionFromArray: [
    8,
    'void *(void *env, const void *model, size_t bytes, void *options, _Out_ void **session)',
  ],
  CreateSessionOptions: [10, 'void *(_Out_ void **options)'],
  SetOptimizedModelFilePath: [11, `void *(void *options, ${PATH} path)`],
  DisableMemPattern: [17, 'void *(void *options)'],
  SetSessionGraphOptimizationLevel: [23, 'void *(void *options, int level)'],
  SetIntraOpNumThreads: [24, 'void *(void *options, int threads)'],
  SessionGetInputCount: [30, 'void *(void *session, _Out_ size_t *count)'],
  SessionGetOutputCount: [31, 'void *(void *session, _Out_ size_t *count)'],
  SessionGetInputTypeInfo: [33, 'void *(void *session, size_t index, _Out_ void **info)'],
  SessionGetOutputTypeInfo: [34, 'void *(void *session, size_t index, _Out_ void **info)'],
  SessionGetInputName: [36, 'void *(void *session, size_t index, void *allocator, _Out_ void **name)'],
  SessionGetOutputName: [37, 'void *(void *session, size_t index, void *allocator, _Out_ void **name)'],
  CreateTensorAsOrtValue: [
    48,
    'void *(void *allocator, int64_t *dims, size_t rank, int type, _Out_ void **value)',
  ],
  CreateTensorWithDataAsOrtValue: [
    49,
    'void *(void *memory, void *data, size_t bytes, int64_t *dims, size_t rank, int type, _Out_ void **value)',
  ],
  GetTensorMutableData: [51, 'void *(void *value, _Out_ void **data)'],
  CastTypeInfoToTensorInfo: [55, 'void *(void *typeInfo, _Out_ void **info)'],
  GetTensorElementType: [60, 'void *(void *info, _Out_ int *type)'],
  GetDimensionsCount: [61, 'void *(void *info, _Out_ size_t *count)'],
  GetDimensions: [62, 'void *(void *info, int64_t *dims, size_t count)'],
  GetTensorTypeAndShape: [65, 'void *(void *value, _Out_ void **info)'],
  CreateCpuMemoryInfo: [69, 'void *(int allocator, int kind, _Out_ void **info)'],
  AllocatorFree: [76, 'void *(void *allocator, void *memory)'],
  GetAllocatorWithDefaultOptions: [78, 'void *(_Out_ void **allocator)'],
  ReleaseEnv: [92, 'void (void *env)'],
  ReleaseStatus: [93, 'void (void *status)'],
  ReleaseMemoryInfo: [94, 'void (void *info)'],
  ReleaseSession: [95, 'void (void *session)'],
  ReleaseValue: [96, 'void (void *value)'],
  ReleaseTypeInfo: [98, 'void (void *info)'],
  ReleaseTensorTypeAndShapeInfo: [99, 'void (void *info)'],
  ReleaseSessionOptions: [100, 'void (void *options)'],
  AddSessionConfigEntry: [130, 'void *(void *options, const char *key, const char *value)'],
  CreateAllocator: [131, 'void *(void *session, void *memoryInfo, _Out_ void **allocator)'],
  ReleaseAllocator: [132, 'void (void *allocator)'],
  RunWithBinding: [133, 'void *(void *session, void *options, void *binding)'],
  CreateIoBinding: [134, 'void *(void *session, _Out_ void **binding)'],
  ReleaseIoBinding: [135, 'void (void *binding)'],
  BindInput: [136, 'void *(void *binding, const char *name, void *value)'],
  BindOutput: [137, 'void *(void *binding, const char *name, void *value)'],
  BindOutputToDevice: [138, 'void *(void *binding, const char *name, void *memory)'],
  GetBoundOutputValues: [
    140,
    'void *(void *binding, void *allocator, _Out_ void **values, _Out_ size_t *count)',
  ],
  AppendTensorRt: [170, 'void *(void *sessionOptions, void *providerOptions)'],
  CreateTensorRtOptions: [171, 'void *(_Out_ void **options)'],
  UpdateTensorRtOptions: [172, 'void *(void *options, const char **keys, const char **values, size_t count)'],
  ReleaseTensorRtOptions: [174, 'void (void *options)'],
  AppendCuda: [204, 'void *(void *sessionOptions, void *providerOptions)'],
  CreateCudaOptions: [205, 'void *(_Out_ void **options)'],
  UpdateCudaOptions: [206, 'void *(void *options, const char **keys, const char **values, size_t count)'],
  ReleaseCudaOptions: [208, 'void (void *options)'],
  AppendExecutionProvider: [
    216,
    'void *(void *options, const char *provider, const char **keys, const char **values, size_t count)',
  ],
  SessionGetMemoryInfoForInputs: [380, 'void *(void *session, _Out_ void **infos, size_t count)'],
  Session_GetEpGraphAssignmentInfo: [
    407,
    'void *(void *session, _Out_ void **subgraphs, _Out_ size_t *count)',
  ],
  EpAssignedSubgraph_GetEpName: [408, 'void *(void *subgraph, _Out_ const char **name)'],
  EpAssignedSubgraph_GetNodes: [409, 'void *(void *subgraph, _Out_ void **nodes, _Out_ size_t *count)'],
  EpAssignedNode_GetOperatorType: [412, 'void *(void *node, _Out_ const char **type)'],
} as const;

type FunctionName = keyof typeof FUNCTIONS;
type NativeFunction = ((...values: unknown[]) => unknown) & {
  /** The last value is a callback. */
  readonly async: (...values: unknown[]) => void;
};

/** ONNX Runtime's C API, with statuses turned into exceptions. */
export interface OrtApi {
  /** Calls a function that returns a status; throws OrtError unless it is null. */
  call(name: FunctionName, ...values: unknown[]): void;
  /** The same, on a thread of libuv's pool, which has four: what the values point to has to stay where it is meanwhile. */
  callAside(name: FunctionName, ...values: unknown[]): Promise<void>;
  /** Calls a function whose last parameter receives a new object, and returns that. */
  create(name: FunctionName, ...values: unknown[]): Handle;
  /** Calls a Release function. */
  release(name: FunctionName, handle: Handle): void;
}

let api: OrtApi | undefined;

export function ortApi(): OrtApi {
  api ??= bindApi();
  return api;
}

/** Such as `1.30.0`. */
export function ortVersion(): string {
  const getVersion = koffi.decode(ortBase(), POINTER_BYTES, 'void *');
  return koffi.call(getVersion, koffi.proto('const char *()'));
}

/** OrtApiBase { const OrtApi *(*GetApi)(uint32_t); const char *(*GetVersionString)(); } */
function ortBase(): Handle {
  return ortLibrary().func('void *OrtGetApiBase()')();
}

function bindApi(): OrtApi {
  const getApi = koffi.decode(ortBase(), 0, 'void *');
  const table = koffi.call(getApi, koffi.proto('void *(uint32_t version)'), API_VERSION);
  if (table === null)
    throw new OrtError(
      `ONNX Runtime is older than 1.${API_VERSION}: it does not serve that version of its API`,
    );
  const functions = new Map<FunctionName, NativeFunction>();
  for (const [name, [index, signature]] of Object.entries(FUNCTIONS)) {
    const pointer = koffi.decode(table, index * POINTER_BYTES, 'void *');
    functions.set(name as FunctionName, koffi.decode(pointer, koffi.proto(signature)) as NativeFunction);
  }
  const native = (name: FunctionName) => functions.get(name)!;
  const getErrorMessage = native('GetErrorMessage');
  const releaseStatus = native('ReleaseStatus');

  const check = (status: unknown): void => {
    if (status === null) return;
    const message = String(getErrorMessage(status));
    releaseStatus(status);
    throw new OrtError(message);
  };
  const call = (name: FunctionName, ...values: unknown[]): void => check(native(name)(...values));
  return {
    call,
    callAside: async (name, ...values) => {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      native(name).async(...values, (error: Error | null, status: unknown) =>
        error === null ? resolve(status) : reject(error),
      );
      check(await promise);
    },
    create: (name, ...values) => {
      const out: Handle[] = [null];
      call(name, ...values, out);
      return out[0];
    },
    release: (name, handle) => {
      native(name)(handle);
    },
  };
}

export const POINTER_BYTES = 8;
