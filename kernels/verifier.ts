import { pastName, presentName } from './graph/decoder-context.ts';
import { presentRowName, VERIFY_INPUT, VERIFY_ROWS } from './graph/verify-graph.ts';
import type { KvMemory } from './kv-memory/kv-memory.ts';
import type { Handle } from './ort/api.ts';
import { pinned } from './ort/pinned.ts';
import type { OrtSession } from './ort/session.ts';
import type { Tensor } from './ort/tensor.ts';

/** Runs a graph made by `withVerification` over the sequence in slot 0. */
export class Verifier {
  /** [VERIFY_ROWS × vocabSize] */
  readonly logits: Float32Array;
  readonly #tokenIds = pinned(BigInt64Array, VERIFY_ROWS);
  readonly #lastPositions = pinned(Int32Array, VERIFY_ROWS);
  readonly #totalLengths = pinned(Int32Array, VERIFY_ROWS);
  readonly #session: OrtSession;
  readonly #tensors: Tensor[] = [];
  readonly #binding: Handle;

  constructor(session: OrtSession, kv: KvMemory, vocabSize: number) {
    this.#session = session;
    this.logits = pinned(Float32Array, VERIFY_ROWS * vocabSize);
    try {
      this.#binding = this.#bind(kv, vocabSize);
    } catch (error) {
      this.#releaseTensors();
      throw error;
    }
  }

  #bind(kv: KvMemory, vocabSize: number): Handle {
    const session = this.#session;
    const track = (tensor: Tensor): Tensor => {
      this.#tensors.push(tensor);
      return tensor;
    };
    const yes = pinned(Uint8Array, 1).fill(1);
    // What the graph takes for a batch of as many rows goes for attention over one slot.
    const unused = { lastPositions: pinned(Int32Array, VERIFY_ROWS), totalLength: pinned(Int32Array, 1) };
    const rows = pinned(BigInt64Array, VERIFY_ROWS);
    for (let row = 0; row < VERIFY_ROWS; row++) rows[row] = BigInt(row);
    const inputs = new Map<string, Tensor>([
      ['input_ids', track(session.tensor(this.#tokenIds, [VERIFY_ROWS, 1]))],
      ['seqlens_k', track(session.tensor(unused.lastPositions, [VERIFY_ROWS]))],
      ['total_seq', track(session.tensor(unused.totalLength, []))],
      ['logit_rows', track(session.tensor(rows, [VERIFY_ROWS]))],
      [VERIFY_INPUT.verify, track(session.tensor(yes, []))],
      [VERIFY_INPUT.lastPositions, track(session.tensor(this.#lastPositions, [VERIFY_ROWS]))],
      [VERIFY_INPUT.totalLengths, track(session.tensor(this.#totalLengths, [VERIFY_ROWS]))],
    ]);
    const outputs = new Map<string, Tensor>([
      ['logits', track(session.tensor(this.logits, [VERIFY_ROWS, vocabSize]))],
    ]);
    for (let layer = 0; layer < kv.layers; layer++) {
      for (const side of ['key', 'value'] as const) {
        const tensor = track(kv.tensor(layer, side, 0, 1));
        inputs.set(pastName(layer, side), tensor);
        outputs.set(presentName(layer, side), tensor);
        for (let row = 0; row < VERIFY_ROWS - 1; row++) outputs.set(presentRowName(layer, side, row), tensor);
      }
    }
    return session.bind(inputs, outputs);
  }

  /** `tokens` [VERIFY_ROWS] at positions `past…`. */
  run(tokens: readonly number[], past: number): void {
    for (let row = 0; row < VERIFY_ROWS; row++) {
      this.#tokenIds[row] = BigInt(tokens[row]!);
      this.#lastPositions[row] = past + row;
      this.#totalLengths[row] = past + row + 1;
    }
    this.#session.run(this.#binding);
  }

  close(): void {
    this.#session.releaseBinding(this.#binding);
    this.#releaseTensors();
  }

  #releaseTensors(): void {
    for (const tensor of this.#tensors) this.#session.releaseTensor(tensor);
  }
}
