import type { DecoderShape } from './decoder-shape.ts';

export interface DecoderOptions {
  readonly graphPath: string;
  readonly shape: DecoderShape;
  /** Sequences that have KV memory at once. */
  readonly slots: number;
  /** KV positions of each slot; at most `shape.maxContextTokens`. */
  readonly contextTokens: number;
  readonly threads: number;
  /** Threads wait busily between kernels: faster by up to half, but burns the cores. */
  readonly spinning: boolean;
}

/** A decoder with its weights and KV memory. All calls are synchronous; one at a time. */
export class Decoder {
  readonly vocabSize: number = 0;
  readonly layers: number = 0;
  readonly slots: number = 0;
  readonly contextTokens: number = 0;
  /** KV memory of all slots, bytes (committed by the system as it is touched). */
  readonly kvBytes: number = 0;

  static load(_options: DecoderOptions): Decoder {
    throw new Error('not built yet');
  }

  /**
   * Runs one chunk of a prompt: `tokens` at positions `past…` of `slot`, whose earlier positions must hold the same
   * sequence. Returns the logits of the last token [vocabSize] if wanted, as a view that is valid until the next call.
   */
  prefill(
    _slot: number,
    _tokens: ArrayLike<number>,
    _past: number,
    _wantLogits: boolean,
  ): Float32Array | undefined {
    throw new Error('not built yet');
  }

  /**
   * One token for each of the slots firstSlot … firstSlot+count-1; `pasts[i]` positions of slot i are filled already.
   * Returns logits [count × vocabSize], row by row, as a view that is valid until the next call.
   */
  decode(
    _firstSlot: number,
    _count: number,
    _tokens: ArrayLike<number>,
    _pasts: ArrayLike<number>,
  ): Float32Array {
    throw new Error('not built yet');
  }

  /** Copies the first `length` KV positions of a slot over those of another. */
  move(_fromSlot: number, _toSlot: number, _length: number): void {
    throw new Error('not built yet');
  }

  close(): void {}
}
