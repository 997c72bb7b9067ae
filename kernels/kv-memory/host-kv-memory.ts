import type { OrtSession } from '../ort/session.ts';
import type { Tensor } from '../ort/tensor.ts';
import { type KvMemory, KvMemoryError, type KvOptions, type KvSide, paddedPositions } from './kv-memory.ts';

/**
 * Keys and values of all slots: for each layer and side one buffer, [slots × kvHeads × positions × headDim] float32,
 * which attention reads and extends in place. The system commits pages as they are touched.
 */
export class HostKvMemory implements KvMemory {
  readonly onDevice = false;
  readonly slots: number;
  readonly layers: number;
  /** Positions that a slot has room for. */
  readonly positions: number;
  readonly sizeBytes: number;
  readonly #kvHeads: number;
  readonly #headDim: number;
  readonly #session: OrtSession;
  readonly #buffers: readonly { readonly key: Float32Array; readonly value: Float32Array }[];

  constructor({ session, shape, slots, minPositions }: KvOptions) {
    this.#session = session;
    this.slots = slots;
    this.layers = shape.layers;
    this.positions = paddedPositions(minPositions);
    this.#kvHeads = shape.kvHeads;
    this.#headDim = shape.headDim;
    const elements = slots * this.#slotElements;
    this.sizeBytes = 2 * shape.layers * elements * Float32Array.BYTES_PER_ELEMENT;
    try {
      this.#buffers = Array.from({ length: shape.layers }, () => ({
        key: reserved(elements),
        value: reserved(elements),
      }));
    } catch (cause) {
      throw new KvMemoryError(this.sizeBytes, slots, { cause });
    }
  }

  /** Numbers that one position of a slot has: [layers × key and value × kvHeads × headDim]. */
  get positionElements(): number {
    return this.layers * 2 * this.#kvHeads * this.#headDim;
  }

  get #slotElements(): number {
    return this.#kvHeads * this.positions * this.#headDim;
  }

  begin(): void {}

  end(): void {}

  region(firstSlot: number): string {
    return String(firstSlot);
  }

  tensor(layer: number, side: KvSide, firstSlot: number, batch: number): Tensor {
    const start = firstSlot * this.#slotElements;
    const range = this.#buffers[layer]![side].subarray(start, start + batch * this.#slotElements);
    return this.#session.tensor(range, [batch, this.#kvHeads, this.positions, this.#headDim]);
  }

  close(): void {}

  /** Copies the first `length` positions of a slot over those of another. */
  copy(fromSlot: number, toSlot: number, length: number): void {
    const headElements = this.positions * this.#headDim;
    const copied = length * this.#headDim;
    for (const { key, value } of this.#buffers) {
      for (let head = 0; head < this.#kvHeads; head++) {
        const from = fromSlot * this.#slotElements + head * headElements;
        const to = toSlot * this.#slotElements + head * headElements;
        key.set(key.subarray(from, from + copied), to);
        value.set(value.subarray(from, from + copied), to);
      }
    }
  }

  save(slot: number, position: number, into: readonly Float32Array[]): void {
    this.#eachRun(slot, position, into, (piece, kv, start, at, length) => {
      piece.set(kv.subarray(start, start + length), at);
    });
  }

  restore(slot: number, position: number, from: readonly Float32Array[]): void {
    this.#eachRun(slot, position, from, (piece, kv, start, at, length) => {
      kv.set(piece.subarray(at, at + length), start);
    });
  }

  /** What lies together on both sides: `length` numbers from `start` in a layer's buffer, from `at` in a piece. */
  #eachRun(
    slot: number,
    position: number,
    pieces: readonly Float32Array[],
    copy: (piece: Float32Array, kv: Float32Array, start: number, at: number, length: number) => void,
  ): void {
    let first = position;
    for (const piece of pieces) {
      const count = piece.length / this.positionElements;
      const length = count * this.#headDim;
      let at = 0;
      for (const { key, value } of this.#buffers) {
        for (let head = 0; head < this.#kvHeads; head++) {
          const start = slot * this.#slotElements + (head * this.positions + first) * this.#headDim;
          copy(piece, key, start, at, length);
          copy(piece, value, start, at + length, length);
          at += 2 * length;
        }
      }
      first += count;
    }
  }
}

/**
 * Memory that is committed by small pages as it is touched, and does not move. That a buffer could be resized keeps it out of the C library's
 * allocator, which may be told to use huge pages: with those, a slot's first token would commit the whole slot.
 */
function reserved(elements: number): Float32Array {
  const sizeBytes = elements * Float32Array.BYTES_PER_ELEMENT;
  return new Float32Array(new ArrayBuffer(sizeBytes, { maxByteLength: sizeBytes }), 0, elements);
}
