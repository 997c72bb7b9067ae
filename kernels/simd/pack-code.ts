import { advance, LANES, MOST_CONSTANT_BYTES, next, VECTOR_BYTES } from './row-loop.ts';
import {
  type Code,
  doWhile,
  get,
  i32Constant,
  intLoad,
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

/** Of all shuffles. */
export const SHUFFLE_BYTES = 2 ** LANES * VECTOR_BYTES;

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
