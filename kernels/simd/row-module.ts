import { countByDistance, countFrom, listBin, locateMass, massBetween, massByDistance } from './cut-code.ts';
import { packBetween, packMasked, packShuffles, SHUFFLE_BYTES } from './pack-code.ts';
import { dropBelowFloor, dropUnderLeast, maxOfRow, offsetOfRow, powersOfRow } from './row-code.ts';
import { constantVectors, MOST_CONSTANT_BYTES } from './row-loop.ts';
import { wasmModule } from './wasm-code.ts';

const PAGE_BYTES = 65_536;
/** Before it lies what the code reads: constants and shuffles. */
export const FIRST_FREE_BYTE = MOST_CONSTANT_BYTES + SHUFFLE_BYTES;

/** What is used of WebAssembly, which the project's type libraries leave out. */
declare const WebAssembly: {
  Memory: new (descriptor: { initial: number }) => { readonly buffer: ArrayBuffer };
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** All work on at least one vector. Places are addresses in the module's memory; `end` is behind the last whole group. */
export interface RowFunctions {
  max(at: number, end: number, groups: number): number;
  powers(at: number, end: number, target: number, max: number, scale: number): number;
  offset(at: number, end: number, weights: number, centre: number): number;
  dropBelow(at: number, end: number, floor: number): number;
  dropUnder(at: number, end: number, weights: number, least: number): number;
  massByDistance: Histogram;
  countByDistance: Histogram;
  massBetween(at: number, end: number, weights: number, low: number, high: number, results: number): number;
  packBetween(
    row: number,
    end: number,
    weights: number,
    ids: number,
    idsTo: number,
    least: number,
    most: number,
  ): number;
  packMasked(row: number, mask: number, end: number, ids: number, idsTo: number): number;
  listBin(at: number, end: number, list: number, centre: number, binsPerUnit: number, bin: number): number;
  countFrom(at: number, end: number, least: number): number;
  locate(at: number, end: number, mass: number): number;
}

type Histogram = (
  at: number,
  end: number,
  weights: number,
  bins: number,
  centre: number,
  binsPerUnit: number,
) => void;

let compiled: { readonly module: object; readonly constants: Float32Array } | undefined;

/** The row functions with a memory of their own, whose bytes before `FIRST_FREE_BYTE` are taken. The code is made once. */
export function instantiateRowModule(sizeBytes: number): {
  readonly buffer: ArrayBuffer;
  readonly functions: RowFunctions;
} {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / PAGE_BYTES) });
  const { buffer } = memory;
  compiled ??= compile();
  new Float32Array(buffer).set(compiled.constants);
  new Uint8Array(buffer).set(packShuffles(), MOST_CONSTANT_BYTES);
  const { exports } = new WebAssembly.Instance(compiled.module, { env: { memory } });
  return { buffer, functions: exports as RowFunctions };
}

function compile(): typeof compiled & object {
  const code = wasmModule([
    ...[maxOfRow(), powersOfRow(), offsetOfRow(), dropBelowFloor(), dropUnderLeast()],
    ...[massByDistance(), countByDistance(), listBin(), countFrom(), massBetween(), locateMass()],
    ...[packBetween(), packMasked()],
  ]);
  return { module: new WebAssembly.Module(code), constants: constantVectors() };
}
