import { Buffer } from 'node:buffer';
import { BodyCollector, bodyTooLarge } from '../api/http/body-collector.ts';
import type { Incoming } from '../api/http/incoming.ts';
import { bodyMemory, releaseBody } from '../core/body-memory.ts';
import { AppError } from '../core/error.ts';
import type { PlainHead } from './plain-head.ts';

/** A plain request whose body may still be coming. */
export class PlainIncoming implements Incoming {
  readonly #head: PlainHead;
  /** Called when somebody wants the body, or wants to be rid of it: until then the client had better wait. */
  readonly #onWanted: () => void;
  #leftBytes: number;
  /** The whole body, where it came in one piece. */
  #piece: Buffer | undefined;
  #collector: BodyCollector | undefined;
  /** The whole body, as long as somebody may need it. */
  #body: Buffer | undefined;
  #isDropped = false;
  #wanted: PromiseWithResolvers<Buffer> | undefined;
  #onEnded: (() => void) | undefined;

  constructor(head: PlainHead, onWanted: () => void) {
    this.#head = head;
    this.#onWanted = onWanted;
    this.#leftBytes = head.bodyBytes;
  }

  get url(): string {
    return this.#head.path;
  }

  /** Nothing of it is missing. */
  get whole(): boolean {
    return this.#leftBytes === 0;
  }

  /** Nobody has said yet what is to become of the body. */
  get pending(): boolean {
    return !this.whole && this.#wanted === undefined && !this.#isDropped;
  }

  /** Where the rest may be read to; undefined: anywhere. */
  get room(): Buffer | undefined {
    return this.whole ? undefined : this.#collector?.room;
  }

  header(name: string): string | undefined {
    return this.#head.headers.get(name);
  }

  body(maxBytes: number): Buffer | Promise<Buffer> {
    const { bodyBytes } = this.#head;
    if (bodyBytes > maxBytes) throw bodyTooLarge(maxBytes);
    if (this.whole) return this.#taken();
    this.#wanted = Promise.withResolvers();
    this.#onWanted();
    return this.#wanted.promise;
  }

  discard(ended: () => void): void {
    this.drop();
    if (this.whole) ended();
    else this.#onEnded = ended;
  }

  /** What is still to come is read and forgotten. */
  drop(): void {
    this.#isDropped = true;
    this.#piece = undefined;
    this.#collector = undefined;
    this.#onWanted();
  }

  release(): void {
    if (this.#body !== undefined) releaseBody(this.#body);
    this.#body = undefined;
  }

  /**
   * @param bytes Copied as far as they have to stay.
   * @param start Where the part begins that has not been looked at.
   * @returns How many of them are of the body.
   */
  push(bytes: Buffer, start = 0): number {
    if (this.whole) return 0;
    const size = Math.min(bytes.length - start, this.#leftBytes);
    this.#leftBytes -= size;
    if (!this.#isDropped) this.#keep(bytes, start, start + size);
    if (this.whole) {
      this.#wanted?.resolve(this.#taken());
      this.#onEnded?.();
    }
    return size;
  }

  /** The client has left. */
  leave(): void {
    if (this.whole) return;
    this.#wanted?.reject(new AppError('client_closed'));
    this.#onEnded?.();
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    if (this.whole && this.#collector === undefined) {
      this.#piece = bodyMemory(end - start);
      bytes.copy(this.#piece, 0, start, end);
      return;
    }
    this.#collector ??= new BodyCollector(this.#head.bodyBytes, true);
    this.#collector.push(bytes.subarray(start, end));
  }

  #taken(): Buffer {
    const body = this.#piece ?? this.#collector?.whole() ?? NOTHING;
    this.#piece = undefined;
    this.#collector = undefined;
    this.#body = body;
    return body;
  }
}

const NOTHING = Buffer.alloc(0);
