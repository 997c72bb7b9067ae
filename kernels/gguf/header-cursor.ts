import { readSync } from 'node:fs';
import { ModelFileError } from '../model-file-error.ts';

const WINDOW_BYTES = 1 << 20;
const MAX_HEADER_BYTES = 256 * 2 ** 20;
const MAX_STRING_BYTES = 16 * 2 ** 20;

/**
 * Reads little-endian values one after another from the head of an open file, through one small window, so that no
 * claim of a damaged file leads to a large allocation. Every read beyond the file, and every absurd length, throws
 * ModelFileError with the position.
 */
export class HeaderCursor {
  readonly #path: string;
  readonly #fileDescriptor: number;
  readonly #endBytes: number;
  readonly #truncatedByLimit: boolean;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;
  #position = 0;

  constructor(path: string, fileDescriptor: number, fileBytes: number) {
    this.#path = path;
    this.#fileDescriptor = fileDescriptor;
    this.#endBytes = Math.min(fileBytes, MAX_HEADER_BYTES);
    this.#truncatedByLimit = fileBytes > MAX_HEADER_BYTES;
  }

  get position(): number {
    return this.#position;
  }

  get remainingBytes(): number {
    return this.#endBytes - this.#position;
  }

  u8(what: string): number {
    return this.#take(1, what).readUInt8();
  }
  i8(what: string): number {
    return this.#take(1, what).readInt8();
  }
  u16(what: string): number {
    return this.#take(2, what).readUInt16LE();
  }
  i16(what: string): number {
    return this.#take(2, what).readInt16LE();
  }
  u32(what: string): number {
    return this.#take(4, what).readUInt32LE();
  }
  i32(what: string): number {
    return this.#take(4, what).readInt32LE();
  }
  f32(what: string): number {
    return this.#take(4, what).readFloatLE();
  }
  f64(what: string): number {
    return this.#take(8, what).readDoubleLE();
  }
  u64(what: string): number {
    return Number(this.#take(8, what).readBigUInt64LE());
  }
  i64(what: string): number {
    return Number(this.#take(8, what).readBigInt64LE());
  }

  /** A string with its 64-bit length before it. */
  string(what: string, maxBytes: number = MAX_STRING_BYTES): string {
    const at = this.#position;
    const length = this.u64(`the length of ${what}`);
    if (length > maxBytes)
      throw this.error(`${what} claims ${length} bytes, more than the ${maxBytes} allowed`, at);
    return this.#take(length, what).toString('utf8');
  }

  error(problem: string, at: number = this.#position): ModelFileError {
    return new ModelFileError(this.#path, `${problem} (at byte ${at})`);
  }

  #take(length: number, what: string): Buffer {
    if (length > this.remainingBytes) {
      const reason = this.#truncatedByLimit
        ? `the header is longer than ${MAX_HEADER_BYTES} bytes`
        : 'the file is truncated';
      throw this.error(`${reason}: it ends inside ${what}`);
    }
    const start = this.#position - this.#windowStart;
    if (start + length > this.#window.length) return this.#refill(length, what);
    this.#position += length;
    return this.#window.subarray(start, start + length);
  }

  #refill(length: number, what: string): Buffer {
    const size = Math.min(Math.max(length, WINDOW_BYTES), this.remainingBytes);
    const window = Buffer.allocUnsafe(size);
    const read = readSync(this.#fileDescriptor, window, 0, size, this.#position);
    if (read < length) throw this.error(`the file became shorter while ${what} was read`);
    this.#window = window.subarray(0, read);
    this.#windowStart = this.#position;
    this.#position += length;
    return window.subarray(0, length);
  }
}
