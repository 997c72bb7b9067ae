import type { Handle, OrtApi } from './api.ts';
import { CPU, type Provider, type ProviderOptions } from './providers.ts';

/**
 * Which of CUDA's kernels for attention may be used: flash (1), memory-efficient (2), plain (16). Without cuDNN's (8), which is planned anew
 * for every batch size and length of a chunk, for 40 to 500 ms each: serving was 4 to 13 times as slow (SmolLM2-135M, H200).
 */
const CUDA_ATTENTION = String(1 + 2 + 16);

/** Tells the options of a session to use a provider, before the CPU. Throws OrtError where ONNX Runtime cannot. */
export function appendProvider(api: OrtApi, sessionOptions: Handle, provider: Provider = CPU): void {
  const { options } = provider;
  switch (provider.name) {
    case 'cpu':
      break;
    case 'cuda':
      appendCuda(api, sessionOptions, options);
      break;
    case 'tensorrt':
      appendTensorRt(api, sessionOptions, options);
      // Takes what TensorRT has no operators for.
      appendCuda(api, sessionOptions, { ...options, extra: {} });
      break;
    case 'webgpu':
      appendGeneric(api, sessionOptions, 'WebGPU', options.extra);
      break;
    case 'coreml':
      appendGeneric(api, sessionOptions, 'CoreML', options.extra);
      break;
    case 'dml':
      // DirectML wants it so: see its page in ONNX Runtime's documentation.
      api.call('DisableMemPattern', sessionOptions);
      appendGeneric(api, sessionOptions, 'DML', {
        ...(options.deviceId === undefined ? {} : { device_id: String(options.deviceId) }),
        ...options.extra,
      });
      break;
  }
}

function appendGeneric(
  api: OrtApi,
  sessionOptions: Handle,
  name: string,
  entries: Readonly<Record<string, string>> = {},
): void {
  const keys = Object.keys(entries);
  api.call('AppendExecutionProvider', sessionOptions, name, keys, Object.values(entries), keys.length);
}

function appendCuda(api: OrtApi, sessionOptions: Handle, options: ProviderOptions): void {
  const entries = {
    device_id: String(options.deviceId ?? 0),
    sdpa_kernel: CUDA_ATTENTION,
    ...(options.memoryLimitBytes === undefined ? {} : { gpu_mem_limit: String(options.memoryLimitBytes) }),
    ...options.extra,
  };
  const native = api.create('CreateCudaOptions');
  try {
    const keys = Object.keys(entries);
    api.call('UpdateCudaOptions', native, keys, Object.values(entries), keys.length);
    api.call('AppendCuda', sessionOptions, native);
  } finally {
    api.release('ReleaseCudaOptions', native);
  }
}

function appendTensorRt(api: OrtApi, sessionOptions: Handle, options: ProviderOptions): void {
  const entries = { device_id: String(options.deviceId ?? 0), ...options.extra };
  const native = api.create('CreateTensorRtOptions');
  try {
    const keys = Object.keys(entries);
    api.call('UpdateTensorRtOptions', native, keys, Object.values(entries), keys.length);
    api.call('AppendTensorRt', sessionOptions, native);
  } finally {
    api.release('ReleaseTensorRtOptions', native);
  }
}
