import { pastName } from '../graph/decoder-context.ts';
import type { DeviceElement, DeviceMemory } from '../ort/device-memory.ts';
import { pinned } from '../ort/pinned.ts';
import type { OrtSession, SessionOptions } from '../ort/session.ts';
import type { Tensor } from '../ort/tensor.ts';
import { type KvMemory, KvMemoryError, type KvOptions, type KvSide, paddedPositions } from './kv-memory.ts';
import { loadRowSessions, type RowSessions } from './row-sessions.ts';

/** Copied to or from the host in one run: what they take there is taken once more on the device meanwhile. */
const BATCH_POSITIONS = 256;

const ELEMENT_BYTES = { float32: 4, float16: 2 } as const;

export interface DeviceKvOptions extends KvOptions {
  /** For the sessions that copy: of the same provider. */
  readonly sessionOptions: SessionOptions;
  readonly element: DeviceElement;
}

/**
 * KV memory on the device of a provider.
 *
 * A tensor there begins where its buffer begins (a WebGPU buffer has no address to add to), so that of the buffer of all
 * slots only a batch from slot 0 on can be handed to a graph. A single other slot, which is what a prompt's chunk is
 * computed in, is lent the stage, one slot's worth of memory: what the slot holds is copied there before, unless it is
 * there already, and what the chunk adds is copied back after.
 *
 *     slots   ▐ 0 ▐ 1 ▐ 2 ▐ 3 ▐ …        decode: slots 0 … n-1, in place
 *     stage   ▐ 2 ▐                      prefill of slot 2
 *
 * Rows of headDim numbers are copied on the device by small graphs: slot s, head h, position p is row (s·kvHeads + h)·P + p.
 */
export class DeviceKvMemory implements KvMemory {
  readonly onDevice = true;
  readonly slots: number;
  readonly layers: number;
  readonly positions: number;
  readonly sizeBytes: number;
  readonly positionElements: number;
  readonly #kvHeads: number;
  readonly #headDim: number;
  /** A key and a value one for each layer. */
  readonly #buffers: number;
  readonly #element: DeviceElement;
  readonly #memory: DeviceMemory;
  readonly #graphs: RowSessions;
  /** For each layer key and value; first as allocated, then as rows. */
  readonly #all: Tensor[] = [];
  readonly #allRows: Tensor[] = [];
  readonly #stage: Tensor[] = [];
  readonly #stageRows: Tensor[] = [];
  /** What the stage holds: the first positions of a slot. */
  #staged = { slot: -1, length: 0 };

  constructor({ session, sessionOptions, shape, slots, minPositions, element }: DeviceKvOptions) {
    this.slots = slots;
    this.layers = shape.layers;
    this.positions = paddedPositions(minPositions);
    this.#kvHeads = shape.kvHeads;
    this.#headDim = shape.headDim;
    this.#element = element;
    const buffers = 2 * shape.layers;
    this.#buffers = buffers;
    this.positionElements = buffers * shape.kvHeads * shape.headDim;
    this.sizeBytes = this.positionElements * this.positions * (slots + 1) * ELEMENT_BYTES[element];
    this.#memory = session.memoryOf(pastName(0, 'key'));
    try {
      this.#graphs = loadRowSessions(buffers, shape.headDim, element, sessionOptions);
    } catch (error) {
      this.#memory.close();
      throw error;
    }
    try {
      for (let i = 0; i < buffers; i++) {
        this.#allocate(slots, this.#all, this.#allRows);
        this.#allocate(1, this.#stage, this.#stageRows);
      }
    } catch (cause) {
      this.close();
      throw new KvMemoryError(this.sizeBytes, slots, { cause });
    }
  }

  #allocate(slots: number, whole: Tensor[], rows: Tensor[]): void {
    const memory = this.#memory;
    const tensor = memory.allocate([slots, this.#kvHeads, this.positions, this.#headDim], this.#element);
    whole.push(tensor);
    const rowCount = slots * this.#kvHeads * this.positions;
    rows.push(memory.view(tensor, [rowCount, this.#headDim], this.#element));
  }

  begin(firstSlot: number, batch: number, past: number): void {
    if (firstSlot === 0) return;
    if (batch > 1) throw new RangeError('on a device a batch begins at slot 0');
    if (this.#staged.slot === firstSlot && this.#staged.length >= past) return;
    this.#staged = { slot: -1, length: 0 };
    const rows = this.#rows(firstSlot, 0, past);
    this.#copy(this.#allRows, rows, this.#stageRows, this.#rows(0, 0, past));
    this.#staged = { slot: firstSlot, length: past };
  }

  end(firstSlot: number, batch: number, past: number, added: number): void {
    if (firstSlot === 0) {
      if (this.#staged.slot < batch) this.#unstage(this.#staged.slot);
      return;
    }
    this.#copy(
      this.#stageRows,
      this.#rows(0, past, added),
      this.#allRows,
      this.#rows(firstSlot, past, added),
    );
    this.#staged = { slot: firstSlot, length: past + added };
  }

  region(firstSlot: number): string {
    return firstSlot === 0 ? 'slots' : 'stage';
  }

  tensor(layer: number, side: KvSide, firstSlot: number, batch: number): Tensor {
    const index = 2 * layer + (side === 'key' ? 0 : 1);
    const buffer = (firstSlot === 0 ? this.#all : this.#stage)[index]!;
    return this.#memory.view(buffer, [batch, this.#kvHeads, this.positions, this.#headDim], this.#element);
  }

  copy(fromSlot: number, toSlot: number, length: number): void {
    this.#unstage(toSlot);
    const from = this.#rows(fromSlot, 0, length);
    this.#copy(this.#allRows, from, this.#allRows, this.#rows(toSlot, 0, length));
  }

  save(slot: number, position: number, into: readonly Float32Array[]): void {
    for (const { pieces, rows } of this.#batches(slot, position, into)) {
      const packed = pinned(Float32Array, this.#buffers * rows.length * this.#headDim);
      this.#run(
        this.#graphs.read,
        [
          ['from_rows', rows, [rows.length]],
          ...this.#allRows.map((tensor, i) => [`from.${i}`, tensor] as const),
        ],
        [['packed', packed, [this.#buffers * rows.length, this.#headDim]]],
      );
      this.#eachPart(pieces, rows.length, (piece, at, from, length) =>
        piece.set(packed.subarray(from, from + length), at),
      );
    }
  }

  restore(slot: number, position: number, from: readonly Float32Array[]): void {
    this.#unstage(slot);
    for (const { pieces, rows } of this.#batches(slot, position, from)) {
      const packed = pinned(Float32Array, this.#buffers * rows.length * this.#headDim);
      this.#eachPart(pieces, rows.length, (piece, at, to, length) =>
        packed.set(piece.subarray(at, at + length), to),
      );
      this.#run(
        this.#graphs.write,
        [
          ['packed', packed, [this.#buffers, rows.length, this.#headDim]],
          ['to_rows', rows, [rows.length, 1]],
          ...this.#allRows.map((tensor, i) => [`to.${i}`, tensor] as const),
        ],
        this.#allRows.map((tensor, i) => [`done.${i}`, tensor] as const),
      );
    }
  }

  close(): void {
    const { copy } = this.#graphs;
    for (const tensor of [...this.#allRows, ...this.#stageRows, ...this.#all, ...this.#stage])
      copy.releaseTensor(tensor);
    this.#memory.close();
    for (const session of Object.values(this.#graphs)) session.close();
  }

  #unstage(slot: number): void {
    if (this.#staged.slot === slot) this.#staged = { slot: -1, length: 0 };
  }

  /** Pieces that are copied together, and their rows, piece by piece. */
  *#batches(slot: number, position: number, pieces: readonly Float32Array[]): Generator<Batch> {
    let first = position;
    for (let i = 0; i < pieces.length; ) {
      const batch: Float32Array[] = [];
      const rows: Int32Array[] = [];
      for (
        const start = first;
        i < pieces.length && (batch.length === 0 || first - start < BATCH_POSITIONS);
        i++
      ) {
        const piece = pieces[i]!;
        const count = piece.length / this.positionElements;
        batch.push(piece);
        rows.push(this.#rows(slot, first, count));
        first += count;
      }
      const all = pinned(
        Int32Array,
        rows.reduce((sum, { length }) => sum + length, 0),
      );
      let at = 0;
      for (const each of rows) {
        all.set(each, at);
        at += each.length;
      }
      yield { pieces: batch, rows: all };
    }
  }

  /** What lies together on both sides: `length` numbers from `at` in a piece, from `packedAt` in what the graphs take and give. */
  #eachPart(
    pieces: readonly Float32Array[],
    rowCount: number,
    copy: (piece: Float32Array, at: number, packedAt: number, length: number) => void,
  ): void {
    let offset = 0;
    for (const piece of pieces) {
      const length = piece.length / this.#buffers;
      for (let buffer = 0; buffer < this.#buffers; buffer++)
        copy(piece, buffer * length, buffer * rowCount * this.#headDim + offset, length);
      offset += length;
    }
  }

  /** Rows of `count` positions of a slot, head by head. */
  #rows(slot: number, position: number, count: number): Int32Array {
    const rows = pinned(Int32Array, this.#kvHeads * count);
    for (let head = 0; head < this.#kvHeads; head++) {
      const first = (slot * this.#kvHeads + head) * this.positions + position;
      for (let i = 0; i < count; i++) rows[head * count + i] = first + i;
    }
    return rows;
  }

  #copy(from: readonly Tensor[], fromRows: Int32Array, to: readonly Tensor[], toRows: Int32Array): void {
    if (fromRows.length === 0) return;
    this.#run(
      this.#graphs.copy,
      [
        ['from_rows', fromRows, [fromRows.length]],
        ['to_rows', toRows, [toRows.length, 1]],
        ...from.map((tensor, i) => [`from.${i}`, tensor] as const),
        ...to.map((tensor, i) => [`to.${i}`, tensor] as const),
      ],
      to.map((tensor, i) => [`done.${i}`, tensor] as const),
    );
  }

  #run(session: OrtSession, inputs: readonly Bound[], outputs: readonly Bound[]): void {
    const own: Tensor[] = [];
    const asMap = (bound: readonly Bound[]) =>
      new Map(
        bound.map(([name, data, dims]) => {
          if (dims === undefined) return [name, data];
          const tensor = session.tensor(data, dims);
          own.push(tensor);
          return [name, tensor];
        }),
      );
    try {
      const binding = session.bind(asMap(inputs), asMap(outputs));
      try {
        session.run(binding);
      } finally {
        session.releaseBinding(binding);
      }
    } finally {
      for (const tensor of own) session.releaseTensor(tensor);
    }
  }
}

/** A tensor under a name of the graph, or an array and the dimensions to see it with. */
type Bound =
  | readonly [name: string, tensor: Tensor, dims?: undefined]
  | readonly [name: string, data: Float32Array | Int32Array, dims: readonly number[]];

interface Batch {
  readonly pieces: readonly Float32Array[];
  readonly rows: Int32Array;
}
