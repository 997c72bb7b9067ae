import { BINS, countByDistance, cutAtBin, EDGE_INTS, locateMass, massByDistance } from './cut-code.ts';
import { dropBelowFloor, maxOfRow, offsetOfRow, powersOfRow } from './row-code.ts';
import { constantVectors, LANES, MOST_CONSTANT_BYTES } from './row-loop.ts';
import { wasmModule } from './wasm-code.ts';

const PAGE_BYTES = 65_536;
const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

/** What is used of WebAssembly, which the project's type libraries leave out. */
declare const WebAssembly: {
  Memory: new (descriptor: { initial: number }) => { readonly buffer: ArrayBuffer };
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** All work on at least one vector. */
interface Exports {
  max(at: number, end: number): number;
  powers(at: number, end: number, target: number, max: number, scale: number): number;
  offset(at: number, end: number, weights: number, centre: number): number;
  dropBelow(at: number, end: number, floor: number): number;
  massByDistance: Histogram;
  countByDistance: Histogram;
  cut(
    at: number,
    end: number,
    weights: number,
    edges: number,
    centre: number,
    binsPerUnit: number,
    edge: number,
  ): number;
  locate(at: number, end: number, mass: number): number;
}

type Histogram = (
  at: number,
  end: number,
  weights: number,
  bins: number,
  centre: number,
  binsPerUnit: number,
) => void;

/** How numbers of a row are told apart by their distance from `centre`: in equal steps, `binsPerUnit` to a unit. */
export interface DistanceBins {
  readonly centre: number;
  readonly binsPerUnit: number;
}

/** Where the cut falls: in `bin`; those before it come to `before`. */
export interface EdgeBin {
  readonly bin: number;
  readonly before: number;
}

export interface Weighted {
  readonly index: number;
  readonly weight: number;
  /** From the centre. */
  readonly distance: number;
}

let compiled: { readonly module: object; readonly constants: Float32Array } | undefined;
let latest: RowKernels | undefined;

/** For rows of up to so many numbers; the same as the last time, with what was left in its memory. */
export function rowKernels(capacity: number): RowKernels {
  if (latest?.capacity !== capacity) latest = new RowKernels(capacity);
  return latest;
}

/**
 * Memory for one row of logits and one of weights, and vector instructions over them: four numbers at a time, several times as fast as
 * JavaScript. The same numbers give the same results on every machine.
 */
export class RowKernels {
  readonly capacity: number;
  readonly #row: Float32Array;
  readonly #weights: Float32Array;
  readonly #bins: Float64Array;
  readonly #edgeInts: Int32Array;
  readonly #edgeFloats: Float32Array;
  readonly #rowAt = MOST_CONSTANT_BYTES;
  readonly #weightsAt: number;
  readonly #edgesAt: number;
  readonly #binsAt: number;
  readonly #exports: Exports;
  #size = 0;

  constructor(capacity: number) {
    const padded = paddedLength(capacity);
    this.capacity = capacity;
    this.#weightsAt = this.#rowAt + padded * FLOAT_BYTES;
    this.#binsAt = this.#weightsAt + padded * FLOAT_BYTES;
    this.#edgesAt = this.#binsAt + BINS * LANES * Float64Array.BYTES_PER_ELEMENT;
    // One record before all others, and room to write one behind.
    const edgeInts = (padded + 2) * EDGE_INTS;
    const sizeBytes = this.#edgesAt + edgeInts * FLOAT_BYTES;
    const memory = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / PAGE_BYTES) });
    const { buffer } = memory;
    this.#row = new Float32Array(buffer, this.#rowAt, padded);
    this.#weights = new Float32Array(buffer, this.#weightsAt, padded);
    this.#bins = new Float64Array(buffer, this.#binsAt, BINS * LANES);
    this.#edgeInts = new Int32Array(buffer, this.#edgesAt, edgeInts);
    this.#edgeFloats = new Float32Array(buffer, this.#edgesAt, edgeInts);
    compiled ??= compile();
    new Float32Array(buffer).set(compiled.constants);
    const { exports } = new WebAssembly.Instance(compiled.module, { env: { memory } });
    this.#exports = exports as Exports;
  }

  /** [size]; what was loaded. */
  get row(): Float32Array {
    return this.#row.subarray(0, this.#size);
  }

  /** [size]; what `exponentials` gave and the cuts left. */
  get weights(): Float32Array {
    return this.#weights.subarray(0, this.#size);
  }

  get #rowEnd(): number {
    return this.#rowAt + paddedLength(this.#size) * FLOAT_BYTES;
  }

  get #weightsEnd(): number {
    return this.#weightsAt + paddedLength(this.#size) * FLOAT_BYTES;
  }

  /** Makes this the row: up to `capacity` numbers. Returns the copy, which may be changed. */
  load(values: Float32Array): Float32Array {
    this.#size = values.length;
    this.#row.set(values);
    this.#row.fill(Number.NEGATIVE_INFINITY, values.length, paddedLength(values.length));
    return this.row;
  }

  /** The largest number of the row, NaN passed over; -Infinity if there is none. */
  max(): number {
    return this.#exports.max(this.#rowAt, this.#rowEnd);
  }

  /**
   * Sets weights[i] = e^((row[i] − max) · scale), with a relative error that float32 and the rounding of the difference leave, and
   * returns their sum; `max` is the largest of the row. 0 below 2^-126; NaN if any number is NaN.
   */
  exponentials(max: number, scale: number): number {
    const { powers } = this.#exports;
    return powers(this.#rowAt, this.#rowEnd, this.#weightsAt, max, scale * Math.LOG2E);
  }

  /** Σ weights[i] · (row[i] − centre) */
  offset(centre: number): number {
    return this.#exports.offset(this.#rowAt, this.#rowEnd, this.#weightsAt, centre);
  }

  /** Sets weights below `floor` to 0. Returns the sum of the others. */
  dropBelow(floor: number): number {
    return this.#exports.dropBelow(this.#weightsAt, this.#weightsEnd, floor);
  }

  /** The bin of distance with which the mass of weights, or the count of those that are not 0, comes to `target`; the last if it never does. */
  edgeBin(measure: 'mass' | 'count', { centre, binsPerUnit }: DistanceBins, target: number): EdgeBin {
    const { massByDistance, countByDistance } = this.#exports;
    const bins = this.#bins;
    bins.fill(0);
    const fill = measure === 'mass' ? massByDistance : countByDistance;
    fill(this.#rowAt, this.#rowEnd, this.#weightsAt, this.#binsAt, centre, binsPerUnit);
    let before = 0;
    for (let bin = 0; ; bin++) {
      const at = bin * LANES;
      const sum = bins[at]! + bins[at + 1]! + bins[at + 2]! + bins[at + 3]!;
      if (bin === BINS - 1 || before + sum >= target) return { bin, before };
      before += sum;
    }
  }

  /** Sets weights to 0 but for those in bins before `edge`. Returns their sum, and what was in that bin, by index. */
  cut({ centre, binsPerUnit }: DistanceBins, edge: number): { mass: number; inDoubt: Weighted[] } {
    const { cut } = this.#exports;
    const mass = cut(this.#rowAt, this.#rowEnd, this.#weightsAt, this.#edgesAt, centre, binsPerUnit, edge);
    const inDoubt: Weighted[] = [];
    const end = this.#edgeInts[0]! / Int32Array.BYTES_PER_ELEMENT;
    for (let at = EDGE_INTS; at < end; at += EDGE_INTS) {
      const index = this.#edgeInts[at]!;
      inDoubt.push({
        index,
        weight: this.#edgeFloats[at + 1]!,
        distance: Math.abs(this.#row[index]! - centre),
      });
    }
    return { mass, inDoubt };
  }

  /** Sets a weight, such as one that was in doubt, back. */
  restore({ index, weight }: Weighted): void {
    this.#weights[index] = weight;
  }

  /** The index at which the sum of the weights exceeds `mass`; if it never does, of the last that is not 0. */
  locate(mass: number): number {
    const at = this.#exports.locate(this.#weightsAt, this.#weightsEnd, mass);
    return at === 0
      ? this.weights.findLastIndex((weight) => weight > 0)
      : (at - this.#weightsAt) / FLOAT_BYTES;
  }
}

function paddedLength(length: number): number {
  return Math.max(LANES, Math.ceil(length / LANES) * LANES);
}

function compile(): typeof compiled & object {
  const code = wasmModule([
    ...[maxOfRow(), powersOfRow(), offsetOfRow(), dropBelowFloor()],
    ...[massByDistance(), countByDistance(), cutAtBin(), locateMass()],
  ]);
  return { module: new WebAssembly.Module(code), constants: constantVectors() };
}
