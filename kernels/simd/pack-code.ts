import { binsOf } from './cut-code.ts';
import {
  accumulate,
  advance,
  constant,
  eachLane,
  LANES,
  laneSum,
  MOST_CONSTANT_BYTES,
  next,
  VECTOR_BYTES,
} from './row-loop.ts';
import {
  type Code,
  doWhile,
  get,
  i32Constant,
  intLoad,
  intStore,
  set,
  TYPE,
  tee,
  vectorLoad,
  vectorStore,
  type WasmFunction,
  when,
  work,
} from './wasm-code.ts';

/** Bits of a mask that are in one word of it: whether so many numbers in a row stay. */
export const MASK_BITS = 32;

/** Where it lies how the lanes of a vector are packed: for every combination of lanes that stay. */
const SHUFFLES_AT = MOST_CONSTANT_BYTES;
const SHUFFLE_SHIFT = Math.log2(VECTOR_BYTES);
const INT_SHIFT = 2;

/** What has to lie behind the constants: byte i of shuffle c tells which byte of a vector, whose lanes c are to stay, comes to place i. */
export function packShuffles(): Uint8Array {
  return Uint8Array.from(
    Array.from({ length: 2 ** LANES }, (_, bits) => {
      const staying = Array.from({ length: LANES }, (_, lane) => lane).filter((lane) => (bits >> lane) & 1);
      const bytes = staying.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));
      return [...bytes, ...Array(VECTOR_BYTES - bytes.length).fill(0)];
    }).flat(),
  );
}

/** A list of numbers, read at one place and written, packed, at another that is never further. */
interface Column {
  readonly from: number;
  readonly to: number;
}

/** Writes those lanes of one vector of each column that `bits` tells, one after the other, and goes on behind them. */
function pack(bits: number, columns: readonly Column[], shuffle: number, written: number): Code {
  return [
    ...[...get(bits), ...i32Constant(SHUFFLE_SHIFT), ...work('i32.shl')],
    ...[...vectorLoad(SHUFFLES_AT), ...set(shuffle)],
    ...columns.flatMap(({ from, to }) => [
      ...[...get(to), ...get(from), ...vectorLoad(), ...get(shuffle), ...work('i8x16.swizzle')],
      ...vectorStore(),
    ]),
    ...[...get(bits), ...work('i32.popcnt'), ...i32Constant(INT_SHIFT), ...work('i32.shl'), ...set(written)],
    ...columns.flatMap(({ to }) => [...get(to), ...get(written), ...work('i32.add'), ...set(to)]),
  ];
}

/**
 * Packs the numbers at [row, end) from `least` to `most`, with what lies in the same places at `weights` and `ids`; the ids are written at
 * `idsTo`, the others where they were. Returns how many bytes of each are left.
 */
export function packBetween(): WasmFunction {
  const [row, end, weights, ids, idsTo, least, most, rowTo, weightsTo, start, bits, written, shuffle] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
  ];
  const columns = [
    { from: weights, to: weightsTo },
    { from: ids, to: idsTo },
  ];
  return {
    name: 'packBetween',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32],
    result: TYPE.i32,
    locals: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.v128],
    body: [
      ...[...get(row), ...tee(rowTo), ...set(start), ...get(weights), ...set(weightsTo)],
      ...doWhile([
        ...[...get(row), ...vectorLoad(), ...get(least), ...work('f32x4.splat', 'f32x4.ge')],
        ...[...get(row), ...vectorLoad(), ...get(most), ...work('f32x4.splat', 'f32x4.le', 'v128.and')],
        ...[...work('i32x4.bitmask'), ...tee(bits)],
        ...when(pack(bits, [...columns, { from: row, to: rowTo }], shuffle, written)),
        ...[...next(ids), ...next(weights), ...advance(row, end)],
      ]),
      ...[...get(rowTo), ...get(start), ...work('i32.sub')],
    ],
  };
}

/** Packs the numbers from `row` on whose bits are set in the words at [mask, end), and their ids as above. Returns how many bytes are left. */
export function packMasked(): WasmFunction {
  const [row, mask, end, ids, idsTo, rowTo, start, bits, written, shuffle, word, rowAt, idsAt] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 9, 11, 12,
  ];
  const columns = [
    { from: rowAt, to: rowTo },
    { from: idsAt, to: idsTo },
  ];
  const wordBytes = MASK_BITS * Float32Array.BYTES_PER_ELEMENT;
  return {
    name: 'packMasked',
    parameters: Array(5).fill(TYPE.i32),
    result: TYPE.i32,
    locals: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.v128, TYPE.i32, TYPE.i32],
    body: [
      ...[...get(row), ...tee(rowTo), ...set(start)],
      ...doWhile([
        ...[...get(mask), ...intLoad(), ...tee(word)],
        // Most words are 0 where a grammar leaves little choice.
        ...when([
          ...[...get(row), ...set(rowAt), ...get(ids), ...set(idsAt)],
          ...Array.from({ length: MASK_BITS / LANES }, (_, nibble) => [
            ...[...get(word), ...i32Constant(nibble * LANES), ...work('i32.shr_u')],
            ...[...i32Constant(2 ** LANES - 1), ...work('i32.and'), ...set(bits)],
            ...pack(bits, columns, shuffle, written),
            ...[...next(rowAt), ...next(idsAt)],
          ]).flat(),
        ]),
        ...[...next(row, wordBytes), ...next(ids, wordBytes)],
        ...advance(mask, end, Int32Array.BYTES_PER_ELEMENT),
      ]),
      ...[...get(rowTo), ...get(start), ...work('i32.sub')],
    ],
  };
}

/**
 * Packs the numbers at [row, end) whose bins of distance are up to `edge`, and what belongs to them as above. Returns the sum of the weights
 * of those before that bin. Of those in it that weigh anything it is written down at `edges`, in order, where they were packed to.
 * Before them stand the number of bytes that are left and of those written down.
 */
export function packNear(): WasmFunction {
  const [row, end, weights, ids, idsTo, edges, centre, perUnit, edge] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const [rowTo, weightsTo, start, bits, written, edgesAt, edgeBits] = [9, 10, 11, 12, 13, 14, 15];
  const [shuffle, bin, weight, sum] = [16, 17, 18, 19];
  const columns = [
    { from: row, to: rowTo },
    { from: weights, to: weightsTo },
    { from: ids, to: idsTo },
  ];
  const write = (lane: number): Code => [
    ...[...get(edgesAt), ...get(rowTo)],
    // Behind those lanes before it that stay.
    ...[...get(bits), ...i32Constant(2 ** lane - 1), ...work('i32.and', 'i32.popcnt')],
    ...[...i32Constant(INT_SHIFT), ...work('i32.shl', 'i32.add'), ...intStore()],
    // What is not in the bin is overwritten by the next.
    ...[...get(edgesAt), ...get(edgeBits), ...i32Constant(lane), ...work('i32.shr_u')],
    ...[...i32Constant(1), ...work('i32.and'), ...i32Constant(INT_SHIFT), ...work('i32.shl', 'i32.add')],
    ...set(edgesAt),
  ];
  return {
    name: 'packNear',
    parameters: [
      ...[TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32],
      ...[TYPE.f32, TYPE.f32, TYPE.i32],
    ],
    result: TYPE.f64,
    locals: [...Array(7).fill(TYPE.i32), ...Array(4).fill(TYPE.v128)],
    body: [
      ...[...get(row), ...tee(rowTo), ...set(start), ...get(weights), ...set(weightsTo)],
      ...[...get(edges), ...i32Constant(EDGES_HEAD_BYTES), ...work('i32.add'), ...set(edgesAt)],
      ...doWhile([
        ...[...binsOf(row, centre, perUnit), ...set(bin)],
        ...[...get(bin), ...get(edge), ...work('i32x4.splat', 'i32x4.le_s', 'i32x4.bitmask'), ...set(bits)],
        ...[...get(bin), ...get(edge), ...work('i32x4.splat', 'i32x4.eq')],
        ...[
          ...get(weights),
          ...vectorLoad(),
          ...tee(weight),
          ...constant(0),
          ...work('f32x4.gt', 'v128.and'),
        ],
        ...[...work('i32x4.bitmask'), ...tee(edgeBits), ...when(eachLane(write))],
        ...[...get(weight), ...get(bin), ...get(edge), ...work('i32x4.splat', 'i32x4.lt_s', 'v128.and')],
        ...[...set(weight), ...accumulate(sum, weight)],
        ...pack(bits, columns, shuffle, written),
        ...[...next(ids), ...next(weights), ...advance(row, end)],
      ]),
      ...[...get(edges), ...get(rowTo), ...get(start), ...work('i32.sub'), ...intStore()],
      ...[...get(edges), ...get(edgesAt), ...get(edges), ...work('i32.sub'), ...intStore(4)],
      ...laneSum(sum),
    ],
  };
}

/** Two numbers stand before what is written down. */
const EDGES_HEAD_BYTES = 8;
