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
  set,
  TYPE,
  tee,
  upperHalf,
  vectorLoad,
  type WasmFunction,
  work,
} from './wasm-code.ts';

/**
 * Distances from a centre are told apart by so many bins; what is too far for all others is in the last. A bin has a sum for each
 * lane: neighbours that fall into one bin do not wait for each other.
 */
export const BINS = 1024;
const SUM_BYTES = 8;
const BIN_SHIFT = Math.log2(LANES * SUM_BYTES);

/** Leaves, for four numbers, the bins of their distances from the centre. They must be numbers, and the centre and scale finite. */
export function binsOf(at: number, centre: number, perUnit: number): Code {
  return [
    ...[...get(at), ...vectorLoad(), ...get(centre), ...work('f32x4.splat', 'f32x4.sub', 'f32x4.abs')],
    ...[...get(perUnit), ...work('f32x4.splat', 'f32x4.mul')],
    ...[...constant(BINS - 1), ...work('f32x4.pmin')],
    ...[...constant(ROUNDER), ...work('f32x4.add'), ...constant(ROUNDER), ...work('i32x4.sub')],
  ];
}

/** Adds what weighs four numbers at [at, end) to the bins of their distances from `centre`: double `lane` of bin b lies at bins + 32 b + 8 lane. */
function histogram(name: string, weightsOf: (weights: number) => Code): WasmFunction {
  const [at, end, weights, bins, centre, perUnit, binAt, weight, upper, laneAt] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
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
    locals: [TYPE.v128, TYPE.v128, TYPE.v128, TYPE.i32],
    body: [
      ...doWhile([
        ...[...binsOf(at, centre, perUnit), ...i32Constant(BIN_SHIFT), ...work('i32x4.shl')],
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

/**
 * The sum of the weights of the numbers at [at, end) that lie between `low` and `high`. At `results` that is stored as a double, and the sum
 * with those that are `low` or `high` behind it.
 */
export function massBetween(): WasmFunction {
  const [at, end, weights, low, high, results, x, weight, part, inner, whole] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ];
  const within = (above: 'f32x4.gt' | 'f32x4.ge', below: 'f32x4.lt' | 'f32x4.le', sum: number): Code => [
    ...[...get(x), ...get(low), ...work('f32x4.splat', above)],
    ...[...get(x), ...get(high), ...work('f32x4.splat', below, 'v128.and')],
    ...[...get(weight), ...work('v128.and'), ...set(part), ...accumulate(sum, part)],
  ];
  return {
    name: 'massBetween',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32, TYPE.i32],
    result: TYPE.f64,
    locals: Array(5).fill(TYPE.v128),
    body: [
      ...doWhile([
        ...[...get(at), ...vectorLoad(), ...set(x), ...get(weights), ...vectorLoad(), ...set(weight)],
        ...within('f32x4.gt', 'f32x4.lt', inner),
        ...within('f32x4.ge', 'f32x4.le', whole),
        ...[...next(weights), ...advance(at, end)],
      ]),
      ...[...get(results), ...laneSum(inner), ...doubleStore(0)],
      ...[...get(results), ...laneSum(whole), ...doubleStore(SUM_BYTES)],
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
