/**
 * One message on the socket between gateway and model process: a u32 little-endian byte count, then that many bytes of
 * JSON in UTF-8.
 */
const HEADER_BYTES = 4;

/** A longer frame than this means a broken peer, not a long prompt: request bodies are capped far below. */
const MAX_FRAME_BYTES = 64 * 2 ** 20;

export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export function encodeFrame(message: unknown): Buffer {
  const json = JSON.stringify(message);
  const sizeBytes = Buffer.byteLength(json);
  if (sizeBytes > MAX_FRAME_BYTES)
    throw new FrameError(`A frame of ${sizeBytes} bytes is too large to send.`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + sizeBytes);
  frame.writeUInt32LE(sizeBytes, 0);
  frame.write(json, HEADER_BYTES);
  return frame;
}

/** Cuts a byte stream into messages, however the bytes were split. Joins each byte at most once. */
export class FrameReader {
  readonly #maxFrameBytes: number;
  #chunks: Buffer[] = [];
  #heldBytes = 0;
  #neededBytes = HEADER_BYTES;
  #inBody = false;

  constructor(maxFrameBytes = MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** The messages completed by this chunk. Throws FrameError on a frame over the cap or a body that is not JSON. */
  push(chunk: Buffer): unknown[] {
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    const messages: unknown[] = [];
    while (this.#heldBytes >= this.#neededBytes) {
      const bytes = this.#take(this.#neededBytes);
      if (this.#inBody) {
        messages.push(parse(bytes));
        this.#expect(HEADER_BYTES, false);
      } else {
        const sizeBytes = bytes.readUInt32LE(0);
        if (sizeBytes > this.#maxFrameBytes)
          throw new FrameError(`A frame of ${sizeBytes} bytes is larger than ${this.#maxFrameBytes}.`);
        this.#expect(sizeBytes, true);
      }
    }
    return messages;
  }

  #expect(neededBytes: number, inBody: boolean): void {
    this.#neededBytes = neededBytes;
    this.#inBody = inBody;
  }

  #take(sizeBytes: number): Buffer {
    const first = this.#chunks[0];
    const joined =
      first !== undefined && first.length >= sizeBytes ? first : Buffer.concat(this.#chunks, this.#heldBytes);
    if (joined !== first) this.#chunks = [joined];
    const rest = joined.subarray(sizeBytes);
    if (rest.length > 0) this.#chunks[0] = rest;
    else this.#chunks.shift();
    this.#heldBytes -= sizeBytes;
    return joined.subarray(0, sizeBytes);
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new FrameError('A frame is not JSON.', { cause: error });
  }
}
