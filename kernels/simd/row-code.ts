import {
  accumulate,
  advance,
  constant,
  eachLane,
  GROUP_BYTES,
  GROUP_VECTORS,
  laneSum,
  next,
  ROUNDER,
  VECTOR_BYTES,
} from './row-loop.ts';
import {
  type Code,
  doWhile,
  floatLane,
  get,
  i32Constant,
  set,
  TYPE,
  tee,
  vectorLoad,
  vectorStore,
  type WasmFunction,
  work,
} from './wasm-code.ts';

/** Lower powers of 2 come out as 0: about where float32 begins to lose digits. Its own power would have an exponent of 0 bits. */
const LOWEST = -127;

/** The least number of float32 that is not −Infinity. */
const LEAST_FLOAT = -(2 - 2 ** -23) * 2 ** 127;

/** Where the exponent of a float32 begins. */
const EXPONENT_BIT = 23;

/**
 * 2^r = Σ factors[i] · r^i for |r| up to 1/2 with a relative error of at most 1e-7, about float32's rounding: the polynomial of its degree,
 * exact at 0, whose largest error is least (found by Lawson's algorithm).
 */
const POWER_FACTORS = [
  1, 0.6931469775991246, 0.24022242085376164, 0.055507337433140326, 0.009671512639600614,
  0.001326472717753478,
];

/** The exponent of 2^0 as a float32 has it, as if these bits were a float's. */
const EXPONENT_BIAS = new Float32Array(Int32Array.of(127).buffer)[0]!;

/** The largest of the numbers at [at, end). NaN is passed over. Those of each group, lane by lane, are stored at `groups`. */
export function maxOfRow(): WasmFunction {
  const [at, end, groups, best, ofGroup] = [0, 1, 2, 3, 4];
  const lanes = eachLane((lane) => [...get(best), ...floatLane(lane)]);
  // Without waiting for one another, but in the end.
  const among = (first: number, count: number): Code =>
    count === 1
      ? [
          ...[...constant(Number.NEGATIVE_INFINITY), ...get(at), ...vectorLoad(first * VECTOR_BYTES)],
          ...work('f32x4.pmax'),
        ]
      : [...among(first, count / 2), ...among(first + count / 2, count / 2), ...work('f32x4.pmax')];
  return {
    name: 'max',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32],
    result: TYPE.f32,
    locals: [TYPE.v128, TYPE.v128],
    body: [
      ...[...constant(Number.NEGATIVE_INFINITY), ...set(best)],
      ...doWhile([
        ...[...get(groups), ...among(0, GROUP_VECTORS), ...tee(ofGroup), ...vectorStore()],
        ...[...get(best), ...get(ofGroup), ...work('f32x4.pmax'), ...set(best), ...next(groups)],
        ...advance(at, end, GROUP_BYTES),
      ]),
      ...[...lanes, ...work('f32.max', 'f32.max', 'f32.max')],
    ],
  };
}

/**
 * Leaves Σ factors[i] · r^i; `powers` are r, r², r⁴, …. Split in halves, which do not wait for each other as steps from power to
 * power would (Estrin, 1960).
 */
function sumOfPowers(factors: readonly number[], powers: readonly number[]): Code {
  const [factor = 0] = factors;
  if (factors.length === 1) return constant(factor);
  const highest = Math.ceil(Math.log2(factors.length)) - 1;
  const lower = sumOfPowers(factors.slice(0, 2 ** highest), powers);
  const upper = sumOfPowers(factors.slice(2 ** highest), powers);
  return [...lower, ...upper, ...get(powers[highest]!), ...work('f32x4.mul', 'f32x4.add')];
}

function square(local: number): Code {
  return [...get(local), ...get(local), ...work('f32x4.mul')];
}

/**
 * For every number x at [at, end) stores 2^((x − max) · scale) at `target`, and returns the sum of what was stored. Exactly 1
 * for x = max, 0 for −Infinity, and NaN for NaN.
 *
 *     2^power = 2^whole · 2^rest     2^whole by writing it into a float's exponent
 */
export function powersOfRow(): WasmFunction {
  const [at, end, target, max, scale, maxes, scales, rounded, rest, rest2, rest4, weight, sum] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
  ];
  return {
    name: 'powers',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32],
    result: TYPE.f64,
    locals: Array(8).fill(TYPE.v128),
    body: [
      ...[...get(max), ...work('f32x4.splat'), ...set(maxes)],
      ...[...get(scale), ...work('f32x4.splat'), ...set(scales)],
      ...doWhile([
        ...[...get(at), ...vectorLoad(), ...get(maxes), ...work('f32x4.sub')],
        // NaN stays.
        ...[...get(scales), ...work('f32x4.mul'), ...constant(LOWEST), ...work('f32x4.pmax'), ...tee(rest)],
        ...[...get(rest), ...constant(ROUNDER), ...work('f32x4.add'), ...tee(rounded)],
        ...[...constant(ROUNDER), ...work('f32x4.sub', 'f32x4.sub'), ...set(rest)],

        ...[...square(rest), ...set(rest2), ...square(rest2), ...set(rest4)],
        ...sumOfPowers(POWER_FACTORS, [rest, rest2, rest4]),
        ...[...get(rounded), ...constant(EXPONENT_BIAS), ...work('i32x4.add')],
        ...[...i32Constant(EXPONENT_BIT), ...work('i32x4.shl', 'f32x4.mul'), ...set(weight)],

        ...[...get(target), ...get(weight), ...vectorStore()],
        ...accumulate(sum, weight),
        ...[...next(target), ...advance(at, end)],
      ]),
      ...laneSum(sum),
    ],
  };
}

/** The sum of (x − centre) · weight over the numbers x at [at, end), whose weights lie at `weights`. What weighs 0 does not count. */
export function offsetOfRow(): WasmFunction {
  const [at, end, weights, centre, part, sum] = [0, 1, 2, 3, 4, 5];
  return {
    name: 'offset',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32],
    result: TYPE.f64,
    locals: [TYPE.v128, TYPE.v128],
    body: [
      ...doWhile([
        // Of −Infinity 0 times would be no number.
        ...[...constant(LEAST_FLOAT), ...get(at), ...vectorLoad(), ...work('f32x4.pmax')],
        ...[...get(centre), ...work('f32x4.splat', 'f32x4.sub')],
        ...[...get(weights), ...vectorLoad(), ...work('f32x4.mul'), ...set(part)],
        ...accumulate(sum, part),
        ...[...next(weights), ...advance(at, end)],
      ]),
      ...laneSum(sum),
    ],
  };
}

/** Sets the weights at [at, end) that are below `floor` to 0. Returns the sum of the others. */
export function dropBelowFloor(): WasmFunction {
  const [at, end, floor, weight, sum] = [0, 1, 2, 3, 4];
  return {
    name: 'dropBelow',
    parameters: [TYPE.i32, TYPE.i32, TYPE.f32],
    result: TYPE.f64,
    locals: [TYPE.v128, TYPE.v128],
    body: [
      ...doWhile([
        ...[...get(at), ...get(at), ...vectorLoad(), ...tee(weight), ...get(weight)],
        ...[...get(floor), ...work('f32x4.splat', 'f32x4.ge', 'v128.and'), ...tee(weight), ...vectorStore()],
        ...accumulate(sum, weight),
        ...advance(at, end),
      ]),
      ...laneSum(sum),
    ],
  };
}

/** Sets the weights of the numbers at [at, end) that are below `least` to 0. Returns the sum of the others. */
export function dropUnderLeast(): WasmFunction {
  const [at, end, weights, least, leasts, weight, sum] = [0, 1, 2, 3, 4, 5, 6];
  return {
    name: 'dropUnder',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32],
    result: TYPE.f64,
    locals: [TYPE.v128, TYPE.v128, TYPE.v128],
    body: [
      ...[...get(least), ...work('f32x4.splat'), ...set(leasts)],
      ...doWhile([
        ...[...get(weights), ...get(weights), ...vectorLoad()],
        ...[...get(at), ...vectorLoad(), ...get(leasts), ...work('f32x4.ge', 'v128.and')],
        ...[...tee(weight), ...vectorStore(), ...accumulate(sum, weight)],
        ...[...next(weights), ...advance(at, end)],
      ]),
      ...laneSum(sum),
    ],
  };
}
