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
  floatLane,
  floatLoad,
  floatStore,
  get,
  i32Constant,
  intLane,
  intStore,
  set,
  TYPE,
  tee,
  upperHalf,
  vectorLoad,
  vectorStore,
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

/** A token in the edge bin: its id (int32) and its weight (float32). The first record tells how many follow. */
export const EDGE_INTS = 2;
const EDGE_BYTES = EDGE_INTS * Int32Array.BYTES_PER_ELEMENT;

/** Leaves, for four numbers, the bins of their distances from the centre. They must be numbers, and the centre and scale finite. */
function binsOf(at: number, centre: number, perUnit: number): Code {
  return [
    ...[...get(at), ...vectorLoad(), ...get(centre), ...work('f32x4.splat', 'f32x4.sub', 'f32x4.abs')],
    ...[...get(perUnit), ...work('f32x4.splat', 'f32x4.mul')],
    ...[...constant(BINS - 1), ...work('f32x4.pmin')],
    ...[...constant(ROUNDER), ...work('f32x4.add'), ...constant(ROUNDER), ...work('i32x4.sub')],
  ];
}

/**
 * Adds the weights, or 1 for each that is not 0, of the numbers at [at, end) to the bins of their distances from `centre`:
 * double `lane` of bin b lies at bins + 32 b + 8 lane.
 */
function histogram(name: string, addend: (weight: number) => Code): WasmFunction {
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
        ...[...get(weights), ...vectorLoad(), ...set(weight), ...addend(weight), ...set(weight)],
        ...[...upperHalf(weight), ...work('f64x2.promote_low_f32x4'), ...set(upper)],
        ...[...get(weight), ...work('f64x2.promote_low_f32x4'), ...set(weight)],
        ...eachLane(addLane),
        ...[...next(weights), ...advance(at, end)],
      ]),
      ...get(end),
    ],
  };
}

export const massByDistance = (): WasmFunction => histogram('massByDistance', get);

export const countByDistance = (): WasmFunction =>
  histogram('countByDistance', (weight) => [
    ...[...get(weight), ...constant(0), ...work('f32x4.gt'), ...constant(1), ...work('v128.and')],
  ]);

/**
 * Sets the weights of the numbers at [at, end) to 0 but for those in bins before `edge`, whose sum it returns. Those in that bin are
 * written down at `edges`, in order.
 */
export function cutAtBin(): WasmFunction {
  const [at, end, weights, edges, centre, perUnit, edge, bin, weight, sum, isEdge, edgesAt, id] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
  ];
  const write = (lane: number): Code => [
    ...[...get(edgesAt), ...get(id), ...i32Constant(lane), ...work('i32.add'), ...intStore()],
    ...[...get(edgesAt), ...get(weight), ...floatLane(lane), ...floatStore(4)],
    // What is not in the bin is overwritten by the next.
    ...[...get(edgesAt), ...get(isEdge), ...intLane(lane), ...i32Constant(EDGE_BYTES)],
    ...[...work('i32.and', 'i32.add'), ...set(edgesAt)],
  ];
  return {
    name: 'cut',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32, TYPE.i32],
    result: TYPE.f64,
    locals: [TYPE.v128, TYPE.v128, TYPE.v128, TYPE.v128, TYPE.i32, TYPE.i32],
    body: [
      ...[...get(edges), ...i32Constant(EDGE_BYTES), ...work('i32.add'), ...set(edgesAt)],
      ...doWhile([
        ...[...binsOf(at, centre, perUnit), ...set(bin)],
        ...[...get(weights), ...vectorLoad(), ...set(weight)],
        ...[...get(bin), ...get(edge), ...work('i32x4.splat', 'i32x4.eq')],
        ...[...get(weight), ...constant(0), ...work('f32x4.gt', 'v128.and'), ...tee(isEdge)],
        ...[...work('v128.any_true'), ...when(eachLane(write))],
        ...[...get(id), ...i32Constant(LANES), ...work('i32.add'), ...set(id)],
        ...[...get(weights), ...get(weight), ...get(bin), ...get(edge)],
        ...[...work('i32x4.splat', 'i32x4.lt_s', 'v128.and'), ...tee(weight), ...vectorStore()],
        ...accumulate(sum, weight),
        ...[...next(weights), ...advance(at, end)],
      ]),
      ...[...get(edges), ...get(edgesAt), ...get(edges), ...work('i32.sub'), ...intStore()],
      ...laneSum(sum),
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
