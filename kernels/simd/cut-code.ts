import {
  accumulate,
  advance,
  constant,
  eachLane,
  LANES,
  laneSum,
  next,
  ROUNDER,
  VECTOR_BYTES,
} from './row-loop.ts';
import {
  type Code,
  DOUBLE_ZERO,
  doubleLane,
  doubleLoad,
  doubleStore,
  doWhile,
  FLOAT_ZERO,
  floatLoad,
  get,
  i32Constant,
  intLane,
  intStore,
  set,
  TYPE,
  tee,
  upperHalf,
  vectorLoad,
  type WasmFunction,
  when,
  work,
} from './wasm-code.ts';

/**
 * Distances from a centre are told apart by so many bins; what is too far for all others is in the last. A bin has a sum for each
 * lane: neighbours that fall into one bin do not wait for each other.
 */
export const BINS = 1024;
const SUM_BYTES = 8;
const BIN_SHIFT = Math.log2(LANES * SUM_BYTES);
const FLOAT_BYTES = 4;
const FLOAT_SHIFT = Math.log2(FLOAT_BYTES);

/** Leaves, for four numbers, the bins of their distances from the centre, which is finite; NaN is in the last. `perUnits`: in all lanes. */
function binsOf(at: number, centres: number, perUnits: number): Code {
  return [
    ...[
      ...constant(BINS - 1),
      ...get(at),
      ...vectorLoad(),
      ...get(centres),
      ...work('f32x4.sub', 'f32x4.abs'),
    ],
    ...[...get(perUnits), ...work('f32x4.mul', 'f32x4.pmin')],
    ...[...constant(ROUNDER), ...work('f32x4.add'), ...constant(ROUNDER), ...work('i32x4.sub')],
  ];
}

/** A number in all lanes. */
const spread = (from: number, to: number): Code => [...get(from), ...work('f32x4.splat'), ...set(to)];

/** Adds what weighs four numbers at [at, end) to the bins of their distances from `centre`: double `lane` of bin b lies at bins + 32 b + 8 lane. */
function histogram(name: string, weightsOf: (weights: number) => Code): WasmFunction {
  const [at, end, weights, bins, centre, perUnit, binAt, weight, upper, centres, perUnits, laneAt] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
  ];
  const addLane = (lane: number): Code => [
    ...[...get(binAt), ...intLane(lane), ...tee(laneAt), ...get(laneAt), ...doubleLoad(SUM_BYTES * lane)],
    ...[...get(lane < 2 ? weight : upper), ...doubleLane(lane % 2)],
    ...[...work('f64.add'), ...doubleStore(SUM_BYTES * lane)],
  ];
  return {
    name,
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32],
    result: TYPE.i32,
    locals: [...Array(5).fill(TYPE.v128), TYPE.i32],
    body: [
      ...[...spread(centre, centres), ...spread(perUnit, perUnits)],
      ...doWhile([
        ...[...binsOf(at, centres, perUnits), ...i32Constant(BIN_SHIFT), ...work('i32x4.shl')],
        ...[...get(bins), ...work('i32x4.splat', 'i32x4.add'), ...set(binAt)],
        ...[...weightsOf(weights), ...set(weight)],
        ...[...upperHalf(weight), ...work('f64x2.promote_low_f32x4'), ...set(upper)],
        ...[...get(weight), ...work('f64x2.promote_low_f32x4'), ...set(weight)],
        ...eachLane(addLane),
        ...[...next(weights), ...advance(at, end)],
      ]),
      ...get(end),
    ],
  };
}

export const massByDistance = (): WasmFunction =>
  histogram('massByDistance', (weights) => [...get(weights), ...vectorLoad()]);

/** Every number counts as 1. */
export const countByDistance = (): WasmFunction => histogram('countByDistance', () => constant(1));

/** Writes down at `list`, in order, where the numbers at [at, end) lie whose distances are in one bin. Returns where the list ends. */
export function listBin(): WasmFunction {
  const [at, end, list, centre, perUnit, bin, bits, centres, perUnits, bins] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const write = (lane: number): Code => [
    ...[...get(list), ...get(at), ...i32Constant(lane * FLOAT_BYTES), ...work('i32.add'), ...intStore()],
    // What is not in the bin is overwritten by the next.
    ...[...get(list), ...get(bits), ...i32Constant(lane), ...work('i32.shr_u')],
    ...[...i32Constant(1), ...work('i32.and'), ...i32Constant(FLOAT_SHIFT), ...work('i32.shl', 'i32.add')],
    ...set(list),
  ];
  return {
    name: 'listBin',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32, TYPE.i32],
    result: TYPE.i32,
    locals: [TYPE.i32, TYPE.v128, TYPE.v128, TYPE.v128],
    body: [
      ...[...spread(centre, centres), ...spread(perUnit, perUnits)],
      ...[...get(bin), ...work('i32x4.splat'), ...set(bins)],
      ...doWhile([
        ...[...binsOf(at, centres, perUnits), ...get(bins), ...work('i32x4.eq', 'i32x4.bitmask')],
        ...[...tee(bits), ...when(eachLane(write))],
        ...advance(at, end),
      ]),
      ...get(list),
    ],
  };
}

/** How many of the numbers at [at, end) are at least `least`. */
export function countFrom(): WasmFunction {
  const [at, end, least, leasts, count] = [0, 1, 2, 3, 4];
  return {
    name: 'countFrom',
    parameters: [TYPE.i32, TYPE.i32, TYPE.f32],
    result: TYPE.i32,
    locals: [TYPE.v128, TYPE.v128],
    body: [
      ...spread(least, leasts),
      ...doWhile([
        // A comparison that holds is −1.
        ...[...get(count), ...get(at), ...vectorLoad(), ...get(leasts), ...work('f32x4.ge', 'i32x4.sub')],
        ...[...set(count), ...advance(at, end)],
      ]),
      ...eachLane((lane) => [...get(count), ...intLane(lane)]),
      ...work('i32.add', 'i32.add', 'i32.add'),
    ],
  };
}

/**
 * The sum of the weights of the numbers at [at, end) that lie between `low` and `high`. At `results` that is stored as a double, and the sum
 * of those that are `low` or `high` behind it.
 */
export function massBetween(): WasmFunction {
  const [at, end, weights, low, high, results, x, weight, lows, highs, are, part, inner, ends] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
  ];
  const add = (sum: number): Code => [
    ...[...get(weight), ...work('v128.and'), ...set(part), ...accumulate(sum, part)],
  ];
  return {
    name: 'massBetween',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32, TYPE.i32],
    result: TYPE.f64,
    locals: Array(8).fill(TYPE.v128),
    body: [
      ...[...spread(low, lows), ...spread(high, highs)],
      ...doWhile([
        ...[...get(at), ...vectorLoad(), ...set(x), ...get(weights), ...vectorLoad(), ...set(weight)],
        ...[...get(x), ...get(lows), ...work('f32x4.gt'), ...get(x), ...get(highs), ...work('f32x4.lt')],
        ...[...work('v128.and'), ...add(inner)],
        // Few are.
        ...[...get(x), ...get(lows), ...work('f32x4.eq'), ...get(x), ...get(highs), ...work('f32x4.eq')],
        ...[...work('v128.or'), ...tee(are), ...work('v128.any_true'), ...when([...get(are), ...add(ends)])],
        ...[...next(weights), ...advance(at, end)],
      ]),
      ...[...get(results), ...laneSum(inner), ...doubleStore(0)],
      ...[...get(results), ...laneSum(ends), ...doubleStore(SUM_BYTES)],
      ...laneSum(inner),
    ],
  };
}

/**
 * The address of the weight in [at, end) with which the sum of the weights exceeds `mass`; if it never does, of the last one of
 * the last vector that is not 0, or 0.
 */
export function locateMass(): WasmFunction {
  const [at, end, rest, last, weight, sum] = [0, 1, 2, 3, 4, 5];
  const goesOn: Code = [...get(rest), ...DOUBLE_ZERO, ...work('f64.ge', 'i32.and')];
  return {
    name: 'locate',
    parameters: [TYPE.i32, TYPE.i32, TYPE.f64],
    result: TYPE.i32,
    locals: [TYPE.i32, TYPE.v128, TYPE.f64],
    body: [
      ...doWhile([
        ...[...get(at), ...vectorLoad(), ...tee(weight), ...work('f64x2.promote_low_f32x4')],
        ...[...upperHalf(weight), ...work('f64x2.promote_low_f32x4', 'f64x2.add'), ...set(weight)],
        ...[...laneSum(weight), ...set(sum)],
        ...[...get(rest), ...get(sum), ...work('f64.sub'), ...set(rest)],
        ...[...advance(at, end), ...goesOn],
      ]),
      // Once more, one by one.
      ...[...get(rest), ...get(sum), ...work('f64.add'), ...set(rest)],
      ...[...get(at), ...i32Constant(-VECTOR_BYTES), ...work('i32.add'), ...set(at)],
      ...doWhile([
        ...[...get(at), ...get(last), ...get(at), ...floatLoad(), ...FLOAT_ZERO],
        ...[...work('f32.gt', 'select'), ...set(last)],
        ...[...get(rest), ...get(at), ...floatLoad(), ...work('f64.promote_f32', 'f64.sub'), ...set(rest)],
        ...[...get(at), ...i32Constant(4), ...work('i32.add'), ...tee(at)],
        ...[...get(end), ...work('i32.lt_u'), ...goesOn],
      ]),
      ...get(last),
    ],
  };
}
