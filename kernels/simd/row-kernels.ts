import { BINS } from './cut-code.ts';
import { MASK_BITS } from './pack-code.ts';
import { GROUP_VECTORS, LANES } from './row-loop.ts';
import { FIRST_FREE_BYTE, instantiateRowModule, type RowFunctions } from './row-module.ts';

const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;
const GROUP_NUMBERS = GROUP_VECTORS * LANES;

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

let latest: RowKernels | undefined;

/** For rows of up to `capacity` numbers; the same object as the last time, with whatever was left in its memory. */
export function rowKernels(capacity: number): RowKernels {
  if (latest?.capacity !== capacity) latest = new RowKernels(capacity);
  return latest;
}

/**
 * Memory for one row of logits, and vector instructions over it: four numbers at a time, several times as fast as JavaScript. What is cut
 * off is taken out of the row, so that whatever comes next has less to look at; the others keep their order, and their ids are known.
 * The same numbers give the same results on every machine.
 */
export class RowKernels {
  readonly capacity: number;
  readonly #row: Float32Array;
  readonly #weights: Float32Array;
  readonly #ids: Int32Array;
  readonly #bins: Float64Array;
  readonly #list: Int32Array;
  readonly #mask: Int32Array;
  readonly #rowAt: number;
  readonly #weightsAt: number;
  readonly #idsAt: number;
  /** Ids of a row of which nothing was taken out. */
  readonly #placesAt: number;
  readonly #groupsAt: number;
  readonly #listAt: number;
  readonly #binsAt: number;
  readonly #maskAt: number;
  readonly #exports: RowFunctions;
  #size = 0;
  #isWhole = true;

  constructor(capacity: number) {
    const padded = paddedLength(capacity);
    this.capacity = capacity;
    let sizeBytes = FIRST_FREE_BYTE;
    const place = (bytes: number): number => {
      const at = sizeBytes;
      sizeBytes += bytes;
      return at;
    };
    this.#rowAt = place(padded * FLOAT_BYTES);
    this.#weightsAt = place(padded * FLOAT_BYTES);
    this.#idsAt = place(padded * FLOAT_BYTES);
    this.#placesAt = place(padded * FLOAT_BYTES);
    this.#groupsAt = place((padded / GROUP_VECTORS) * FLOAT_BYTES);
    this.#binsAt = place(BINS * LANES * Float64Array.BYTES_PER_ELEMENT);
    // Room to write one behind all others.
    this.#listAt = place((padded + 1) * FLOAT_BYTES);
    this.#maskAt = place((padded / MASK_BITS) * FLOAT_BYTES);
    const { buffer, functions } = instantiateRowModule(sizeBytes);
    this.#exports = functions;
    this.#row = new Float32Array(buffer, this.#rowAt, padded);
    this.#weights = new Float32Array(buffer, this.#weightsAt, padded);
    this.#ids = new Int32Array(buffer, this.#idsAt, padded);
    this.#bins = new Float64Array(buffer, this.#binsAt, BINS * LANES);
    this.#list = new Int32Array(buffer, this.#listAt, padded + 1);
    this.#mask = new Int32Array(buffer, this.#maskAt, padded / MASK_BITS);
    new Int32Array(buffer, this.#placesAt, padded).set(Array.from({ length: padded }, (_, i) => i));
  }

  /** [size]; what was loaded and not taken out. */
  get row(): Float32Array {
    return this.#row.subarray(0, this.#size);
  }

  /** [size]; what `exponentials` gave. */
  get weights(): Float32Array {
    return this.#weights.subarray(0, this.#size);
  }

  get size(): number {
    return this.#size;
  }

  get #rowEnd(): number {
    return this.#rowAt + paddedLength(this.#size) * FLOAT_BYTES;
  }

  get #weightsEnd(): number {
    return this.#weightsAt + paddedLength(this.#size) * FLOAT_BYTES;
  }

  get #idsFrom(): number {
    return this.#isWhole ? this.#placesAt : this.#idsAt;
  }

  /** Makes this the row: up to `capacity` numbers. Returns the copy, which may be changed. */
  load(values: Float32Array): Float32Array {
    this.#row.set(values);
    this.#isWhole = true;
    this.#resize(values.length);
    return this.row;
  }

  #resize(size: number): void {
    this.#size = size;
    const end = paddedLength(size);
    this.#row.fill(Number.NEGATIVE_INFINITY, size, end);
    this.#weights.fill(0, size, end);
  }

  /** Where the number at a place of the row stood when it was loaded. */
  idAt(place: number): number {
    return this.#isWhole ? place : this.#ids[place]!;
  }

  /** The largest number of the row, NaN passed over; -Infinity if there is none. */
  max(): number {
    return this.#exports.max(this.#rowAt, this.#rowEnd, this.#groupsAt);
  }

  /**
   * A number that at least `count` of the row are not below, and not many more, as far as they are within `reach` of the maximum: that is
   * what tells more about those farther. To be called after `max`, which it gave. Every group of the row tells of its largest alone.
   */
  boundOfLargest(count: number, max: number, reach: number): number {
    const end = (paddedLength(this.#size) / GROUP_VECTORS) * FLOAT_BYTES;
    if (count * 2 * FLOAT_BYTES > end || !Number.isFinite(max)) return Number.NEGATIVE_INFINITY;
    const binsPerUnit = (BINS - 1) / reach;
    const bins = { centre: max, binsPerUnit };
    const { bin } = this.#edgeBin('count', this.#groupsAt, this.#groupsAt + end, bins, count);
    return bin === BINS - 1 ? Number.NEGATIVE_INFINITY : max - (bin + 1) / binsPerUnit;
  }

  /**
   * Sets weights[i] = e^((row[i] − max) · scale), with a relative error that float32 and the rounding of the difference leave, and
   * returns their sum; `max` is the largest of the row. 0 below about 2^-126; NaN if any number is NaN.
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

  /** Sets the weights of numbers below `least` to 0. Returns the sum of the others. */
  dropUnder(least: number): number {
    return this.#exports.dropUnder(this.#rowAt, this.#rowEnd, this.#weightsAt, least);
  }

  /** Takes out all but those whose bits are set: bit i of word j is that of number 32 j + i. The row must be as it was loaded. */
  keepMasked(mask: Int32Array): void {
    this.#mask.set(mask);
    const maskEnd = this.#maskAt + mask.length * FLOAT_BYTES;
    const { packMasked } = this.#exports;
    this.#packed(packMasked(this.#rowAt, this.#maskAt, maskEnd, this.#placesAt, this.#idsAt));
  }

  /** Takes out what is below `least` or above `most`, and what is no number. */
  keepBetween(least: number, most: number): void {
    const [at, end, weights] = [this.#rowAt, this.#rowEnd, this.#weightsAt];
    const [from, to] = [this.#idsFrom, this.#idsAt];
    this.#packed(this.#exports.packBetween(at, end, weights, from, to, least, most));
  }

  #packed(bytes: number): void {
    this.#isWhole = false;
    this.#resize(bytes / FLOAT_BYTES);
  }

  /** The bin of distance with which the mass of weights, or the count of numbers, comes to `target`; the last if it never does. */
  edgeBin(measure: 'mass' | 'count', bins: DistanceBins, target: number): EdgeBin {
    return this.#edgeBin(measure, this.#rowAt, this.#rowEnd, bins, target);
  }

  #edgeBin(
    measure: 'mass' | 'count',
    at: number,
    end: number,
    { centre, binsPerUnit }: DistanceBins,
    target: number,
  ): EdgeBin {
    const { massByDistance, countByDistance } = this.#exports;
    const bins = this.#bins;
    bins.fill(0);
    const fill = measure === 'mass' ? massByDistance : countByDistance;
    fill(at, end, this.#weightsAt, this.#binsAt, centre, binsPerUnit);
    let before = 0;
    for (let bin = 0; ; bin++) {
      const lane = bin * LANES;
      const sum = bins[lane]! + bins[lane + 1]! + bins[lane + 2]! + bins[lane + 3]!;
      if (bin === BINS - 1 || before + sum >= target) return { bin, before };
      before += sum;
    }
  }

  /** The places of what is in a bin, in order; not the last one. */
  placesIn({ centre, binsPerUnit }: DistanceBins, bin: number): readonly number[] {
    const { listBin } = this.#exports;
    const end = listBin(this.#rowAt, this.#rowEnd, this.#listAt, centre, binsPerUnit, bin);
    const list = this.#list.subarray(0, (end - this.#listAt) / FLOAT_BYTES);
    return Array.from(list, (at) => (at - this.#rowAt) / FLOAT_BYTES);
  }

  /** How many numbers are at least `least`. */
  countFrom(least: number): number {
    return this.#exports.countFrom(this.#rowAt, this.#rowEnd, least);
  }

  /** The mass of the numbers that lie between `low` and `high`, as float32; `whole`: together with those that are one of the two. */
  massBetween(low: number, high: number): { inner: number; whole: number } {
    const results = this.#bins;
    this.#exports.massBetween(this.#rowAt, this.#rowEnd, this.#weightsAt, low, high, this.#binsAt);
    return { inner: results[0]!, whole: results[0]! + results[1]! };
  }

  /** Lets the number at a place weigh nothing, also if weights are set again. */
  drop(place: number): void {
    this.#weights[place] = 0;
    this.#row[place] = Number.NEGATIVE_INFINITY;
  }

  /** The place at which the sum of the weights exceeds `mass`; if it never does, of the last that weighs anything. */
  locate(mass: number): number {
    const at = this.#exports.locate(this.#weightsAt, this.#weightsEnd, mass);
    return at === 0
      ? this.weights.findLastIndex((weight) => weight > 0)
      : (at - this.#weightsAt) / FLOAT_BYTES;
  }
}

/** Whole groups. */
function paddedLength(length: number): number {
  return Math.max(1, Math.ceil(length / GROUP_NUMBERS)) * GROUP_NUMBERS;
}
