import { pastName, presentName } from './graph/decoder-context.ts';
import type { KvMemory } from './kv-memory/kv-memory.ts';
import type { Handle } from './ort/api.ts';
import { pinned } from './ort/pinned.ts';
import type { OrtSession } from './ort/session.ts';
import type { Tensor } from './ort/tensor.ts';

/** More shapes than a server normally cycles through: batch sizes, and a few chunk lengths. */
const MAX_BINDINGS = 96;

/** A forward pass over slots firstSlot … firstSlot+batch-1, `chunk` tokens each, with `logitRows` rows of logits. */
export interface StepShape {
  readonly firstSlot: number;
  readonly batch: number;
  readonly chunk: number;
  readonly logitRows: number;
}

interface Binding {
  readonly handle: Handle;
  readonly tensors: readonly Tensor[];
  /** Over the arrays that change from step to step. */
  readonly inputs: ReadonlyMap<string, Tensor>;
}

/**
 * The arrays that a decoder's graph reads and writes, and one IO binding per shape over them, the least recently used
 * released first. Steps of the same shape only change the arrays' content.
 */
export class DecoderBindings {
  /** [batch × chunk] */
  readonly tokenIds: BigInt64Array;
  /** [batch]: past + chunk − 1 */
  readonly lastPositions: Int32Array;
  /** scalar: the longest past + chunk */
  readonly totalLength: Int32Array;
  /** [logitRows] */
  readonly logitRows: BigInt64Array;
  /** [logitRows × vocabSize] */
  readonly logits: Float32Array;
  readonly #session: OrtSession;
  readonly #kv: KvMemory;
  readonly #vocabSize: number;
  readonly #cache = new Map<string, Binding>();

  constructor(session: OrtSession, kv: KvMemory, vocabSize: number) {
    this.#session = session;
    this.#kv = kv;
    this.#vocabSize = vocabSize;
    this.tokenIds = pinned(BigInt64Array, Math.max(kv.slots, kv.positions));
    this.lastPositions = pinned(Int32Array, kv.slots);
    this.totalLength = pinned(Int32Array, 1);
    this.logitRows = pinned(BigInt64Array, kv.slots);
    try {
      this.logits = pinned(Float32Array, kv.slots * vocabSize);
    } catch (cause) {
      const sizeMiB = Math.ceil((kv.slots * vocabSize * Float32Array.BYTES_PER_ELEMENT) / 2 ** 20);
      throw new RangeError(`${sizeMiB} MiB for the logits of ${kv.slots} slots cannot be had`, { cause });
    }
  }

  #get(shape: StepShape): Binding {
    const region = this.#kv.region(shape.firstSlot, shape.batch);
    const key = `${region}/${shape.batch}/${shape.chunk}/${shape.logitRows}`;
    let binding = this.#cache.get(key);
    if (binding === undefined) {
      binding = this.#create(shape);
      if (this.#cache.size >= MAX_BINDINGS) this.#release(this.#cache.keys().next().value!);
    } else {
      this.#cache.delete(key);
    }
    // A Map keeps the order of insertion: the first key is the one unused for longest.
    this.#cache.set(key, binding);
    return binding;
  }

  /** Runs the graph over what the arrays hold. Throws OrtError. */
  run(shape: StepShape): void {
    const { handle, inputs } = this.#get(shape);
    // What a device needs there is copied when it is bound, not when the graph runs.
    if (this.#kv.onDevice) this.#session.bindInputs(handle, inputs);
    this.#session.run(handle);
  }

  close(): void {
    for (const key of [...this.#cache.keys()]) this.#release(key);
  }

  #create({ firstSlot, batch, chunk, logitRows }: StepShape): Binding {
    const session = this.#session;
    const tensors: Tensor[] = [];
    const track = (tensor: Tensor): Tensor => {
      tensors.push(tensor);
      return tensor;
    };
    try {
      const changing = new Map<string, Tensor>([
        ['input_ids', track(session.tensor(this.tokenIds, [batch, chunk]))],
        ['seqlens_k', track(session.tensor(this.lastPositions, [batch]))],
        ['total_seq', track(session.tensor(this.totalLength, []))],
        ['logit_rows', track(session.tensor(this.logitRows, [logitRows]))],
      ]);
      const inputs = new Map(changing);
      const outputs = new Map<string, Tensor>([
        ['logits', track(session.tensor(this.logits, [logitRows, this.#vocabSize]))],
      ]);
      for (let layer = 0; layer < this.#kv.layers; layer++) {
        for (const side of ['key', 'value'] as const) {
          const tensor = track(this.#kv.tensor(layer, side, firstSlot, batch));
          inputs.set(pastName(layer, side), tensor);
          outputs.set(presentName(layer, side), tensor);
        }
      }
      return { handle: session.bind(inputs, outputs), tensors, inputs: changing };
    } catch (error) {
      for (const tensor of tensors) session.releaseTensor(tensor);
      throw error;
    }
  }

  #release(key: string): void {
    const binding = this.#cache.get(key)!;
    this.#cache.delete(key);
    this.#session.releaseBinding(binding.handle);
    for (const tensor of binding.tensors) this.#session.releaseTensor(tensor);
  }
}
