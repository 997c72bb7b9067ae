import {
  type Code,
  doubleLane,
  doWhile,
  floatLane,
  get,
  i32Constant,
  set,
  TYPE,
  tee,
  upperHalf,
  vectorLoad,
  vectorStore,
  type WasmFunction,
  wasmModule,
  work,
} from './wasm-code.ts';

/** Numbers that are worked on together. */
export const LANES = 4;
const VECTOR_BYTES = 16;

/** Lower powers of e are taken for 0: about where float32 begins to lose digits. */
const LOWEST = -87;

/** The first part of ln 2 has so few digits that its product with a whole number is exact. */
const LN2_HIGH = 0.693359375;

/** 1.5 · 2^23: adding it rounds a small number to a whole one, which then is in the lowest bits. */
const ROUNDER = 12_582_912;

/** Where the exponent of a float32 begins. */
const EXPONENT_BIT = 23;

/** e^r = Σ r^i / i!, the highest power first; for |r| up to ln 2 / 2 the rest is below float32's rounding. */
const TAYLOR = [5040, 720, 120, 24, 6, 2, 1, 1].map((factorial) => 1 / factorial);

/** The exponent of 2^0 as a float32 has it, as if these bits were a float's. */
const EXPONENT_BIAS = new Float32Array(Int32Array.of(127).buffer)[0]!;

const CONSTANTS = [
  ...[Number.NEGATIVE_INFINITY, LOWEST, Math.LOG2E, ROUNDER, LN2_HIGH, Math.LN2 - LN2_HIGH, EXPONENT_BIAS],
  ...TAYLOR,
];

/** Lie at the beginning of memory: loading one is a single instruction, a vector in the code takes several. */
export const CONSTANT_VECTORS = Float32Array.from(CONSTANTS.flatMap((value) => Array(LANES).fill(value)));

function constant(value: number): Code {
  return [...i32Constant(0), ...vectorLoad(CONSTANTS.indexOf(value) * VECTOR_BYTES)];
}

/** `at` one vector further; leaves 1 while that is before `end`. */
function advance(at: number, end: number): Code {
  return [
    ...get(at),
    ...i32Constant(VECTOR_BYTES),
    ...work('i32.add'),
    ...tee(at),
    ...get(end),
    ...work('i32.lt_u'),
  ];
}

/** The largest of the numbers at [at, end). NaN is passed over. */
function maxOfRow(): WasmFunction {
  const [at, end, best] = [0, 1, 2];
  const lanes = [0, 1, 2, 3].flatMap((lane) => [...get(best), ...floatLane(lane)]);
  return {
    name: 'max',
    parameters: [TYPE.i32, TYPE.i32],
    result: TYPE.f32,
    locals: [TYPE.v128],
    body: [
      ...[...constant(Number.NEGATIVE_INFINITY), ...set(best)],
      ...doWhile([
        ...[...get(best), ...get(at), ...vectorLoad(), ...work('f32x4.pmax'), ...set(best)],
        ...advance(at, end),
      ]),
      ...[...lanes, ...work('f32.max', 'f32.max', 'f32.max')],
    ],
  };
}

/**
 * For every number x at [at, end) stores e^((x − max) · scale) at `target`, and returns the sum of what was stored. Exactly 1
 * for x = max, 0 for −Infinity, and NaN for NaN.
 *
 *     (x − max) · scale = whole · ln 2 + rest     e^… = 2^whole · e^rest     2^whole by writing it into a float's exponent
 */
function exponentialsOfRow(): WasmFunction {
  const [at, end, target, max, scale, power, whole, rest, weight, sum, rounded] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ];
  const [highest, ...lower] = TAYLOR;
  return {
    name: 'exponentials',
    parameters: [TYPE.i32, TYPE.i32, TYPE.i32, TYPE.f32, TYPE.f32],
    result: TYPE.f64,
    locals: [TYPE.v128, TYPE.v128, TYPE.v128, TYPE.v128, TYPE.v128, TYPE.v128],
    body: [
      ...doWhile([
        ...[...get(at), ...vectorLoad(), ...get(max), ...work('f32x4.splat', 'f32x4.sub')],
        ...[...get(scale), ...work('f32x4.splat', 'f32x4.mul'), ...tee(power)],
        // Where it is too low the result is cut off below; here it must only fit the exponent.
        ...[...constant(LOWEST), ...work('f32x4.pmax'), ...tee(rest)],
        ...[
          ...constant(Math.LOG2E),
          ...work('f32x4.mul'),
          ...constant(ROUNDER),
          ...work('f32x4.add'),
          ...tee(rounded),
        ],
        ...[...constant(ROUNDER), ...work('f32x4.sub'), ...set(whole)],
        ...[...get(rest), ...get(whole), ...constant(LN2_HIGH), ...work('f32x4.mul', 'f32x4.sub')],
        ...[...get(whole), ...constant(Math.LN2 - LN2_HIGH), ...work('f32x4.mul', 'f32x4.sub'), ...set(rest)],

        ...constant(highest!),
        ...lower.flatMap((factor) => [
          ...[...get(rest), ...work('f32x4.mul'), ...constant(factor), ...work('f32x4.add')],
        ]),
        ...[...get(rounded), ...constant(EXPONENT_BIAS)],
        ...[...work('i32x4.add'), ...i32Constant(EXPONENT_BIT), ...work('i32x4.shl', 'f32x4.mul')],
        // So that NaN, which is not lower than anything, stays.
        ...[...get(power), ...constant(LOWEST), ...work('f32x4.lt', 'v128.andnot'), ...set(weight)],

        ...[...get(target), ...get(weight), ...vectorStore()],
        ...[...get(sum), ...get(weight), ...work('f64x2.promote_low_f32x4', 'f64x2.add')],
        ...[...upperHalf(weight), ...work('f64x2.promote_low_f32x4', 'f64x2.add'), ...set(sum)],
        ...[...get(target), ...i32Constant(VECTOR_BYTES), ...work('i32.add'), ...set(target)],
        ...advance(at, end),
      ]),
      ...[...get(sum), ...doubleLane(0), ...get(sum), ...doubleLane(1), ...work('f64.add')],
    ],
  };
}

/** Both work on at least one vector. */
export const rowModule = () => wasmModule([maxOfRow(), exponentialsOfRow()]);
