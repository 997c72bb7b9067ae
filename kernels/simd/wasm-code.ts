/** A small assembler for WebAssembly with 128-bit vectors. Source: the WebAssembly 2.0 binary format. */
export type Code = readonly number[];

export const TYPE = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;

type ValueType = (typeof TYPE)[keyof typeof TYPE];

export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly result: ValueType;
  /** Numbered on from the parameters. */
  readonly locals: readonly ValueType[];
  readonly body: Code;
}

/** A module that exports its functions and works on memory 0 of `env.memory`. */
export function wasmModule(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ parameters, result }) => [0x60, ...vector(parameters), 1, result]);
  const exports = functions.map(({ name }, index) => [...text(name), 0x00, ...unsigned(index)]);
  const bodies = functions.map(({ locals, body }) => {
    const code = [...list(locals.map((type) => [1, type])), ...body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  const memory = [...text('env'), ...text('memory'), 0x02, 0x00, ...unsigned(1)];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, list(types)),
    ...section(2, list([memory])),
    ...section(3, list(functions.map((_, index) => unsigned(index)))),
    ...section(7, list(exports)),
    ...section(10, list(bodies)),
  ]);
}

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number): Code => [0x21, ...unsigned(local)];
export const tee = (local: number): Code => [0x22, ...unsigned(local)];

const WORK = {
  'i32.add': [0x6a],
  'i32.sub': [0x6b],
  'i32.and': [0x71],
  'i32.shl': [0x74],
  'i32.shr_u': [0x76],
  'i32.popcnt': [0x69],
  'i32.lt_u': [0x49],
  'f32.gt': [0x5e],
  'f32.max': [0x97],
  'f64.add': [0xa0],
  'f64.sub': [0xa1],
  'f64.ge': [0x66],
  'f64.promote_f32': [0xbb],
  /** a where c is not 0, else b. */
  select: [0x1b],
  'i32x4.splat': vectorWork(0x11),
  'f32x4.splat': vectorWork(0x13),
  'f64x2.promote_low_f32x4': vectorWork(0x5f),
  'i32x4.shl': vectorWork(0xab),
  'i32x4.eq': vectorWork(0x37),
  'i32x4.lt_s': vectorWork(0x39),
  'i32x4.le_s': vectorWork(0x3d),
  /** Bit i: whether lane i is negative, such as one where a comparison holds. */
  'i32x4.bitmask': vectorWork(0xa4),
  /** Byte i is byte b[i] of a. */
  'i8x16.swizzle': vectorWork(0x0e),
  'i32x4.add': vectorWork(0xae),
  'i32x4.sub': vectorWork(0xb1),
  'f32x4.eq': vectorWork(0x41),
  'f32x4.lt': vectorWork(0x43),
  'f32x4.gt': vectorWork(0x44),
  'f32x4.le': vectorWork(0x45),
  'f32x4.ge': vectorWork(0x46),
  'f32x4.abs': vectorWork(0xe0),
  'f32x4.add': vectorWork(0xe4),
  'f32x4.sub': vectorWork(0xe5),
  'f32x4.mul': vectorWork(0xe6),
  /** b where b < a, else a: NaN in b is passed over. */
  'f32x4.pmin': vectorWork(0xea),
  /** b where a < b, else a: NaN in b is passed over. */
  'f32x4.pmax': vectorWork(0xeb),
  'f64x2.add': vectorWork(0xf0),
  'v128.and': vectorWork(0x4e),
  'v128.or': vectorWork(0x50),
  /** a & ~b */
  'v128.andnot': vectorWork(0x4f),
  'v128.any_true': vectorWork(0x53),
} as const;

/** Operators without operands of their own, in order. */
export function work(...names: readonly (keyof typeof WORK)[]): Code {
  return names.flatMap((name) => WORK[name]);
}

export const i32Constant = (value: number): Code => [0x41, ...signed(value)];
export const FLOAT_ZERO: Code = [0x43, 0, 0, 0, 0];
export const DOUBLE_ZERO: Code = [0x44, 0, 0, 0, 0, 0, 0, 0, 0];

/** The address is on the stack, and what is stored above it. */
export const floatLoad = (): Code => [0x2a, 2, 0];
export const intLoad = (): Code => [0x28, 2, 0];
export const intStore = (offsetBytes = 0): Code => [0x36, 2, ...unsigned(offsetBytes)];
export const doubleLoad = (offsetBytes = 0): Code => [0x2b, 3, ...unsigned(offsetBytes)];
export const doubleStore = (offsetBytes = 0): Code => [0x39, 3, ...unsigned(offsetBytes)];
export const vectorLoad = (offsetBytes = 0): Code => [...vectorWork(0x00), 2, ...unsigned(offsetBytes)];
export const vectorStore = (): Code => [...vectorWork(0x0b), 2, 0];
export const intLane = (lane: number): Code => [...vectorWork(0x1b), lane];
export const floatLane = (lane: number): Code => [...vectorWork(0x1f), lane];
export const doubleLane = (lane: number): Code => [...vectorWork(0x21), lane];
/** The upper two of four floats in place of the lower. */
export const upperHalf = (local: number): Code => [
  ...get(local),
  ...get(local),
  ...vectorWork(0x0d),
  ...[8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15],
];

/** Runs the body if what is on the stack is not 0. */
export const when = (body: Code): Code => [0x04, 0x40, ...body, 0x0b];

/** Runs the body, and again while what it leaves on the stack is not 0. */
export const doWhile = (body: Code): Code => [0x03, 0x40, ...body, 0x0d, 0x00, 0x0b];

function vectorWork(number: number): Code {
  return [0xfd, ...unsigned(number)];
}

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function vector(bytes: Code): Code {
  return [...unsigned(bytes.length), ...bytes];
}

function text(value: string): Code {
  return vector([...Buffer.from(value)]);
}

/** LEB128 */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  const low = value & 0x7f;
  const rest = value >> 7;
  const ends = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
  return ends ? [low] : [low | 0x80, ...signed(rest)];
}
