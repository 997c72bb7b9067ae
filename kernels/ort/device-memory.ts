import type { Handle, OrtApi } from './api.ts';
import { ELEMENT_TYPE, FLOAT16, type Tensor, tensorOver } from './tensor.ts';

/** Bytes per element and number of the types that device tensors have. */
const TYPES = {
  float32: { bytes: 4, number: ELEMENT_TYPE.get(Float32Array)! },
  float16: { bytes: 2, number: FLOAT16 },
} as const;

export type DeviceElement = keyof typeof TYPES;

/** Memory that a provider allocates where its kernels want it: of a GPU, or the host's for providers that work there. */
export class DeviceMemory {
  readonly #api: OrtApi;
  readonly #info: Handle;
  readonly #allocator: Handle;

  /** `info` belongs to the session. */
  constructor(api: OrtApi, session: Handle, info: Handle) {
    this.#api = api;
    this.#info = info;
    this.#allocator = api.create('CreateAllocator', session, info);
  }

  /** Throws OrtError when there is not enough. */
  allocate(dims: readonly number[], element: DeviceElement): Tensor {
    const shape = BigInt64Array.from(dims, (dim) => BigInt(dim));
    const { number } = TYPES[element];
    return {
      handle: this.#api.create('CreateTensorAsOrtValue', this.#allocator, shape, dims.length, number),
      data: undefined,
    };
  }

  /** Another tensor over the beginning of one from `allocate`, which has to outlive it. */
  view(tensor: Tensor, dims: readonly number[], element: DeviceElement): Tensor {
    const { bytes, number } = TYPES[element];
    const pointer = this.#api.create('GetTensorMutableData', tensor.handle);
    const handle = tensorOver(this.#api, this.#info, { pointer, elementBytes: bytes }, dims, number);
    return { handle, data: undefined };
  }

  /** All tensors must have been released before. */
  close(): void {
    this.#api.release('ReleaseAllocator', this.#allocator);
  }
}
