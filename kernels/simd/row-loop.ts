import { type Code, doubleLane, get, i32Constant, set, upperHalf, vectorLoad, work } from './wasm-code.ts';

/** Numbers that are worked on together. */
export const LANES = 4;
export const VECTOR_BYTES = 16;

/** Rows are whole groups of so many vectors. */
export const GROUP_VECTORS = 16;
export const GROUP_BYTES = GROUP_VECTORS * VECTOR_BYTES;

/** Code for each of the lanes in turn. */
export function eachLane(code: (lane: number) => Code): Code {
  return Array.from({ length: LANES }, (_, lane) => code(lane)).flat();
}

/** Where constants lie in memory: from address 0 on. */
export const MOST_CONSTANT_BYTES = 32 * VECTOR_BYTES;

/** 1.5 · 2^23: adding it rounds a small number to a whole one, which then is in the lowest bits. */
export const ROUNDER = 12_582_912;

const constants: number[] = [];

/**
 * A number in all lanes, read from memory: that is a single instruction, a vector in the code takes several. A number that is used
 * for the first time gets its place.
 */
export function constant(value: number): Code {
  if (!constants.includes(value)) constants.push(value);
  return [...i32Constant(0), ...vectorLoad(constants.indexOf(value) * VECTOR_BYTES)];
}

/** What has to lie at address 0 for all code made so far. */
export function constantVectors(): Float32Array {
  return Float32Array.from(constants.flatMap((value) => Array(LANES).fill(value)));
}

/** `at` one vector further. */
export function next(at: number, bytes = VECTOR_BYTES): Code {
  return [...get(at), ...i32Constant(bytes), ...work('i32.add'), ...set(at)];
}

/** `at` one vector further; leaves 1 while that is before `end`. */
export function advance(at: number, end: number, bytes = VECTOR_BYTES): Code {
  return [...next(at, bytes), ...get(at), ...get(end), ...work('i32.lt_u')];
}

/** Adds four floats to a sum of two doubles; first to each other, so that the sum is waited for once. */
export function accumulate(sum: number, floats: number): Code {
  return [
    ...[...get(floats), ...work('f64x2.promote_low_f32x4')],
    ...[...upperHalf(floats), ...work('f64x2.promote_low_f32x4', 'f64x2.add')],
    ...[...get(sum), ...work('f64x2.add'), ...set(sum)],
  ];
}

/** Leaves the sum of two doubles. */
export function laneSum(doubles: number): Code {
  return [...get(doubles), ...doubleLane(0), ...get(doubles), ...doubleLane(1), ...work('f64.add')];
}
