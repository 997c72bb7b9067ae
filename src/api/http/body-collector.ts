import { Buffer } from 'node:buffer';
import { bodyMemory } from '../../core/body-memory.ts';
import { AppError } from '../../core/error.ts';

/** A body whose length is declared is put together as it comes; one that is to be longer, once so much of it has. */
const COLLECTED_BYTES = 1024 * 1024;

const LEAST_ROOM_BYTES = 16 * 1024;

/** Puts the pieces of a body together. A body that comes in one piece is not copied. */
export class BodyCollector {
  readonly #declaredBytes: number;
  readonly #isBorrowed: boolean;
  readonly #chunks: Buffer[] = [];
  #collected: Buffer | undefined;
  #bytes = 0;

  /**
   * @param declaredBytes What it says of its length; 0: nothing.
   * @param isBorrowed Pieces are only lent: what has to stay is copied.
   */
  constructor(declaredBytes: number, isBorrowed = false) {
    this.#declaredBytes = declaredBytes;
    this.#isBorrowed = isBorrowed;
  }

  /** So far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Where the next bytes may be read to, so that they need not be copied; undefined where that would save little. */
  get room(): Buffer | undefined {
    const collected = this.#collected;
    if (collected === undefined || collected.length - this.#bytes < LEAST_ROOM_BYTES) return undefined;
    return collected.subarray(this.#bytes);
  }

  push(chunk: Buffer): void {
    const at = this.#bytes;
    const declared = this.#declaredBytes;
    this.#bytes += chunk.length;
    if (chunk.length >= declared || this.#bytes > declared || this.#isOnlyPromised)
      this.#chunks.push(this.#isBorrowed ? Buffer.from(chunk) : chunk);
    else {
      this.#collected ??= this.#collect();
      if (!this.#isThere(chunk, at)) chunk.copy(this.#collected, at);
    }
  }

  /** Much is declared and little there: memory for all of it could be had for nothing. */
  get #isOnlyPromised(): boolean {
    return this.#declaredBytes > COLLECTED_BYTES && this.#bytes < COLLECTED_BYTES;
  }

  #collect(): Buffer {
    const collected = bodyMemory(this.#declaredBytes);
    let at = 0;
    for (const chunk of this.#chunks.splice(0)) at += chunk.copy(collected, at);
    return collected;
  }

  /** It was read to the room that was given for it. */
  #isThere({ buffer, byteOffset }: Buffer, at: number): boolean {
    const collected = this.#collected;
    return buffer === collected?.buffer && byteOffset === collected.byteOffset + at;
  }

  whole(): Buffer {
    if (this.#collected !== undefined) return this.#collected;
    return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#bytes);
  }
}

export function bodyTooLarge(maxBytes: number): AppError {
  return new AppError('body_too_large', {
    message: `The request body is larger than the limit of ${maxBytes} bytes.`,
  });
}
