import { CONSTANT_VECTORS, LANES, rowModule } from './row-code.ts';

const PAGE_BYTES = 65_536;

/** What is used of WebAssembly, which the project's type libraries leave out. */
declare const WebAssembly: {
  Memory: new (descriptor: { initial: number }) => { readonly buffer: ArrayBuffer };
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
};

interface Exports {
  max(at: number, end: number): number;
  exponentials(at: number, end: number, target: number, max: number, scale: number): number;
}

let compiled: object | undefined;
let latest: RowKernels | undefined;

/** For rows of this size; the same as the last time, with what was left in its memory. */
export function rowKernels(size: number): RowKernels {
  if (latest?.row.length !== size) latest = new RowKernels(size);
  return latest;
}

/**
 * Memory for one row of logits and one of weights, and vector instructions over them: four numbers at a time, several times as fast as
 * JavaScript. The same numbers give the same results on every machine.
 */
export class RowKernels {
  /** [size]; filled by the caller. */
  readonly row: Float32Array;
  /** [size]; what `exponentials` gave. */
  readonly weights: Float32Array;
  /** The same memory as integers. */
  readonly weightBits: Int32Array;
  readonly #rowAt = CONSTANT_VECTORS.byteLength;
  readonly #weightsAt: number;
  readonly #exports: Exports;

  constructor(size: number) {
    const padded = Math.max(LANES, Math.ceil(size / LANES) * LANES);
    this.#weightsAt = this.#rowAt + padded * Float32Array.BYTES_PER_ELEMENT;
    const sizeBytes = this.#weightsAt + padded * Float32Array.BYTES_PER_ELEMENT;
    const memory = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / PAGE_BYTES) });
    const { buffer } = memory;
    new Float32Array(buffer).set(CONSTANT_VECTORS);
    new Float32Array(buffer, this.#rowAt, padded).fill(Number.NEGATIVE_INFINITY);
    this.row = new Float32Array(buffer, this.#rowAt, size);
    this.weights = new Float32Array(buffer, this.#weightsAt, size);
    this.weightBits = new Int32Array(buffer, this.#weightsAt, size);
    compiled ??= new WebAssembly.Module(rowModule());
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    this.#exports = exports as Exports;
  }

  /** The largest number of the row, NaN passed over; -Infinity if there is none. */
  max(): number {
    return this.#exports.max(this.#rowAt, this.#weightsAt);
  }

  /**
   * Sets weights[i] = e^((row[i] − max) · scale), with a relative error that float32 and the rounding of the difference leave, and
   * returns their sum; `max` is the largest of the row. 0 below e^-87; NaN if any number is NaN.
   */
  exponentials(max: number, scale: number): number {
    return this.#exports.exponentials(this.#rowAt, this.#weightsAt, this.#weightsAt, max, scale);
  }
}
