import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** So that ONNX Runtime can map tensors into memory instead of copying them. */
const ALIGNMENT_BYTES = 4096;

/** A part of the data file that belongs to one tensor. */
export interface ExternalRegion {
  readonly offset: number;
  /** Writes `bytes` at `position` within the region. */
  write(position: number, bytes: Uint8Array): void;
}

/** The file that holds a graph's weights. Regions are laid out as they are reserved and may be filled in any order. */
export class ExternalData {
  /** The name by which the graph refers to the file, relative to the graph's own folder. */
  readonly location: string;
  readonly #fileDescriptor: number;
  #endBytes = 0;

  constructor(path: string, location: string) {
    this.location = location;
    this.#fileDescriptor = openSync(path, 'w');
  }

  get sizeBytes(): number {
    return this.#endBytes;
  }

  reserve(sizeBytes: number): ExternalRegion {
    const offset = Math.ceil(this.#endBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    this.#endBytes = offset + sizeBytes;
    return {
      offset,
      write: (position, bytes) => {
        if (position + bytes.length > sizeBytes)
          throw new RangeError(`write past the end of a tensor of ${sizeBytes} bytes`);
        this.#writeAll(bytes, offset + position);
      },
    };
  }

  /** Makes the content durable, so that a later rename cannot publish a file with holes. */
  finish(): void {
    ftruncateSync(this.#fileDescriptor, this.#endBytes);
    fsyncSync(this.#fileDescriptor);
  }

  close(): void {
    closeSync(this.#fileDescriptor);
  }

  #writeAll(bytes: Uint8Array, position: number): void {
    let done = 0;
    while (done < bytes.length)
      done += writeSync(this.#fileDescriptor, bytes, done, bytes.length - done, position + done);
  }
}
