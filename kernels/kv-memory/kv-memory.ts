import type { DecoderShape } from '../decoder-shape.ts';
import type { OrtSession } from '../ort/session.ts';
import type { Tensor } from '../ort/tensor.ts';

export type KvSide = 'key' | 'value';

/** Keeps the distance between heads off exact powers of two, and rows aligned to cache lines. */
const POSITION_GRANULARITY = 16;

export function paddedPositions(positions: number): number {
  return Math.ceil(positions / POSITION_GRANULARITY) * POSITION_GRANULARITY;
}

/**
 * Keys and values of all slots, which attention reads and extends in place. A step over some slots is framed by `begin`
 * and `end`; between the two, `tensor` gives the memory that it has to work on.
 */
export interface KvMemory {
  /** It is not the host's memory. */
  readonly onDevice: boolean;
  readonly slots: number;
  readonly layers: number;
  /** Positions that a slot has room for. */
  readonly positions: number;
  readonly sizeBytes: number;
  /** Numbers that one position of a slot has: [layers × key and value × kvHeads × headDim]. */
  readonly positionElements: number;
  /** Before a step over slots firstSlot … firstSlot+batch-1. `past`: filled positions of a single slot. */
  begin(firstSlot: number, batch: number, past: number): void;
  /** After it. `added`: positions that it filled. */
  end(firstSlot: number, batch: number, past: number, added: number): void;
  /** Names the memory that `tensor` gives for these slots: equal names, equal memory. */
  region(firstSlot: number, batch: number): string;
  /** [batch × kvHeads × positions × headDim], to be released by the caller. */
  tensor(layer: number, side: KvSide, firstSlot: number, batch: number): Tensor;
  /** Copies the first `length` positions of a slot over those of another. */
  copy(fromSlot: number, toSlot: number, length: number): void;
  /** Copies positions of a slot, from `position` on, into one array after the other: as many as each has room for. */
  save(slot: number, position: number, into: readonly Float32Array[]): void;
  /** The reverse of `save`. */
  restore(slot: number, position: number, from: readonly Float32Array[]): void;
  close(): void;
}

export interface KvOptions {
  /** The decoder's. */
  readonly session: OrtSession;
  readonly shape: DecoderShape;
  readonly slots: number;
  readonly minPositions: number;
}

/** KV memory that cannot be had. */
export class KvMemoryError extends RangeError {
  override readonly name = 'KvMemoryError';

  constructor(sizeBytes: number, slots: number, options?: ErrorOptions) {
    const sizeMiB = Math.ceil(sizeBytes / 2 ** 20);
    super(`${sizeMiB} MiB for the KV memory of ${slots} slots cannot be had`, options);
  }
}
