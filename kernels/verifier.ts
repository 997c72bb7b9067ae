import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { pastName, presentName } from './graph/decoder-context.ts';
import { presentRowName, TOTAL_LENGTHS, VERIFY_ROWS, verifyGraphOf } from './graph/verify-graph.ts';
import type { KvMemory } from './kv-memory/kv-memory.ts';
import type { Handle } from './ort/api.ts';
import { pinned } from './ort/pinned.ts';
import { OrtSession, type SessionOptions } from './ort/session.ts';
import type { Tensor } from './ort/tensor.ts';

/** Where the weights take more than this, holding them twice costs more than it is worth. */
export const MOST_VERIFIED_BYTES = 512 * 2 ** 20;

/** Checks tokens of the sequence in slot 0 with the decoder's graph as `verifyGraphOf` changes it, in a session of its own: it has the weights once more. */
export class Verifier {
  /** [VERIFY_ROWS × vocabSize] */
  readonly logits: Float32Array;
  readonly #tokenIds = pinned(BigInt64Array, VERIFY_ROWS);
  readonly #lastPositions = pinned(Int32Array, VERIFY_ROWS);
  readonly #totalLengths = pinned(Int32Array, VERIFY_ROWS);
  readonly #session: OrtSession;
  readonly #tensors: Tensor[] = [];
  readonly #binding: Handle;

  /** `graphPath` and `kv`: of the decoder; in the host's memory. Throws OrtError when the graph cannot be loaded. */
  constructor(graphPath: string, options: SessionOptions, kv: KvMemory, vocabSize: number) {
    const graph = verifyGraphOf(readFileSync(graphPath));
    this.#session = new OrtSession(graph, { ...options, weightsFolder: dirname(graphPath) });
    this.logits = pinned(Float32Array, VERIFY_ROWS * vocabSize);
    try {
      this.#binding = this.#bind(kv, vocabSize);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #bind(kv: KvMemory, vocabSize: number): Handle {
    const session = this.#session;
    const track = (tensor: Tensor): Tensor => {
      this.#tensors.push(tensor);
      return tensor;
    };
    const rows = pinned(BigInt64Array, VERIFY_ROWS);
    for (let row = 0; row < VERIFY_ROWS; row++) rows[row] = BigInt(row);
    const inputs = new Map<string, Tensor>([
      ['input_ids', track(session.tensor(this.#tokenIds, [VERIFY_ROWS, 1]))],
      ['seqlens_k', track(session.tensor(this.#lastPositions, [VERIFY_ROWS]))],
      [TOTAL_LENGTHS, track(session.tensor(this.#totalLengths, [VERIFY_ROWS]))],
      ['logit_rows', track(session.tensor(rows, [VERIFY_ROWS]))],
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
    this.#release();
  }

  #release(): void {
    for (const tensor of this.#tensors) this.#session.releaseTensor(tensor);
    this.#session.close();
  }
}
