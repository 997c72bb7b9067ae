import type { CopyableKv } from '../../src/engine/prefix-cache.ts';
import type { DraftVerifier, StepDecoder } from '../../src/engine/runner.ts';

/**
 * Behaves like a decoder whose next token is a function of everything before it, and checks what a real one relies on:
 * that a batch is the slots 0 … count-1, and that every slot holds exactly the positions its caller claims.
 */
export class FakeDecoder implements StepDecoder, DraftVerifier, CopyableKv {
  readonly vocabSize: number;
  /** The KV memory of a position is the token there. */
  readonly positionElements = 1;
  readonly batchSizes: number[] = [];
  readonly prefillSizes: number[] = [];
  readonly verifyRows = 4;
  readonly contextTokens = 96;
  verified = 0;
  readonly #next: (history: readonly number[]) => number;
  readonly #slots: number[][];

  constructor(options: { vocabSize: number; slots: number; next: (history: readonly number[]) => number }) {
    this.vocabSize = options.vocabSize;
    this.#next = options.next;
    this.#slots = Array.from({ length: options.slots }, () => []);
  }

  prefill(
    slot: number,
    tokens: ArrayLike<number>,
    past: number,
    wantLogits: boolean,
  ): Float32Array | undefined {
    const history = this.#at(slot, past);
    history.push(...Array.from(tokens));
    this.prefillSizes.push(tokens.length);
    return wantLogits ? this.#logits([history]) : undefined;
  }

  decode(
    firstSlot: number,
    count: number,
    tokens: ArrayLike<number>,
    pasts: ArrayLike<number>,
  ): Float32Array {
    if (firstSlot !== 0) throw new Error('a batch starts at slot 0');
    this.batchSizes.push(count);
    const histories = Array.from({ length: count }, (_, i) => {
      const history = this.#at(i, pasts[i]!);
      history.push(tokens[i]!);
      return history;
    });
    return this.#logits(histories);
  }

  verify(tokens: readonly number[], past: number): Float32Array {
    if (past + this.verifyRows > this.contextTokens) throw new Error(`no room for rows from ${past} on`);
    this.verified++;
    const history = this.#at(0, past);
    const histories = tokens.map((token) => {
      history.push(token);
      return history.slice();
    });
    return this.#logits(histories);
  }

  move(fromSlot: number, toSlot: number, length: number): void {
    this.#slots[toSlot] = this.#at(fromSlot, length).slice();
  }

  save(slot: number, position: number, ...into: readonly Float32Array[]): void {
    const history = this.#slots[slot] ?? [];
    let at = position;
    for (const piece of into) {
      if (history.length < at + piece.length) throw new Error(`slot ${slot} holds only ${history.length}`);
      piece.set(history.slice(at, at + piece.length));
      at += piece.length;
    }
  }

  restore(slot: number, position: number, ...from: readonly Float32Array[]): void {
    const history = this.#at(slot, position);
    for (const piece of from) history.push(...piece);
  }

  #at(slot: number, past: number): number[] {
    const history = this.#slots[slot];
    if (history === undefined) throw new Error(`there is no slot ${slot}`);
    if (history.length < past) throw new Error(`slot ${slot} holds ${history.length} positions, not ${past}`);
    history.length = past;
    return history;
  }

  #logits(histories: readonly (readonly number[])[]): Float32Array {
    const logits = new Float32Array(histories.length * this.vocabSize);
    for (const [row, history] of histories.entries()) logits[row * this.vocabSize + this.#next(history)] = 20;
    return logits;
  }
}
