import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { ClientReply } from '../api/http/client-reply.ts';
import { http } from '../core/node-http.ts';
import { takenBytes } from '../core/taken-bytes.ts';
import { recordFor, type Writer, writeSoon } from '../core/write-batch.ts';
import { httpDate } from './http-date.ts';

/** What a reply needs of the connection that it goes over. */
export interface ReplyHost {
  readonly socket: Socket;
  /** Aborted when the connection ends. */
  readonly signal: AbortSignal;
  /** For how long the connection may be idle after it. */
  readonly keepAliveMs: number;
  /** It takes no other request after this one. */
  readonly closing: boolean;
  /** All of the reply was handed to the socket. @param keepAlive Another request may follow. */
  replied(keepAlive: boolean): void;
}

/** What is smaller goes out in one piece. */
const COPIED_BYTES = 16 * 1024;
const LAST_CHUNK = '0\r\n\r\n';
const HEX = '0123456789abcdef';
const LINE_END_BYTES = 2;
const CR = 0x0d;
const LF = 0x0a;

/**
 * The reply to one plain request, written straight to the socket: whatever is written in one turn of the event loop makes one chunk
 * and, head included, one write.
 */
export class PlainReply implements ClientReply, Writer {
  readonly #host: ReplyHost;
  readonly #socket: Socket;
  #keepAlive: boolean;
  /** Not sent yet. */
  #head = '';
  #started = false;
  #isChunked = false;
  #pending: (Uint8Array | string)[] = [];
  #pendingBytes = 0;
  #isScheduled = false;
  #isEnding = false;
  /** All of it was handed to the socket. */
  #isSent = false;
  #onDrained: (() => void) | undefined;

  /** @param keepAlive The client allows another request after this one. */
  constructor(host: ReplyHost, keepAlive: boolean) {
    this.#host = host;
    this.#socket = host.socket;
    this.#keepAlive = keepAlive;
  }

  get signal(): AbortSignal {
    return this.#host.signal;
  }

  get started(): boolean {
    return this.#started;
  }

  get takenBytes(): number {
    return takenBytes(this.#socket);
  }

  get untakenBytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength + this.#pendingBytes;
  }

  start(status: number, lines: string, bodyBytes?: number, close = false): void {
    const host = this.#host;
    if (close || host.closing) this.#keepAlive = false;
    this.#isChunked = bodyBytes === undefined;
    const framing = bodyBytes === undefined ? 'transfer-encoding: chunked' : `content-length: ${bodyBytes}`;
    const stay = this.#keepAlive
      ? `keep-alive\r\nkeep-alive: timeout=${Math.floor(host.keepAliveMs / 1_000)}`
      : 'close';
    const reason = http.STATUS_CODES[status] ?? 'Unknown';
    this.#head = `HTTP/1.1 ${status} ${reason}\r\n${lines}${framing}\r\ndate: ${httpDate()}\r\nconnection: ${stay}\r\n\r\n`;
    this.#started = true;
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.#isEnding || chunk.length === 0) return true;
    this.#hold(chunk);
    this.#schedule();
    return !this.#isFull;
  }

  drained(): Promise<void> {
    if (!this.#isFull || this.#socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  end(chunk?: Uint8Array | string): void {
    if (this.#isEnding) return;
    if (chunk !== undefined && chunk.length > 0) this.#hold(chunk);
    this.#isEnding = true;
    if (this.#schedule()) this.#flush();
  }

  settled(): void {
    if (this.#isEnding && !this.#isSent && recordFor(this)) this.#flush();
  }

  takeBack(): boolean {
    if (this.#head === '' || this.#isEnding) return false;
    this.#head = '';
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#started = false;
    return true;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The socket has taken everything, or is gone. */
  drainedNow(): void {
    this.#onDrained?.();
    this.#onDrained = undefined;
  }

  writeNow(): void {
    this.#isScheduled = false;
    this.#flush();
    const socket = this.#socket;
    if (!socket.writable) return;
    if (!socket.writableNeedDrain) this.drainedNow();
    if (this.#isEnding) this.#host.replied(this.#keepAlive);
  }

  get #isFull(): boolean {
    const socket = this.#socket;
    return socket.writableLength + this.#pendingBytes >= socket.writableHighWaterMark;
  }

  #hold(chunk: Uint8Array | string): void {
    // Mostly it stays the only one: an array of one is small, one that has been pushed to has room for many.
    if (this.#pendingBytes === 0) this.#pending = [chunk];
    else this.#pending.push(chunk);
    this.#pendingBytes += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length;
  }

  /** @returns Whether all that there is had better go out at once. */
  #schedule(): boolean {
    if (this.#isScheduled) return false;
    this.#isScheduled = true;
    return writeSoon(this);
  }

  #flush(): void {
    if (this.#isSent) return;
    this.#isSent = this.#isEnding;
    const head = this.#head;
    const pending = this.#pending;
    const bytes = this.#pendingBytes;
    this.#head = '';
    this.#pending = [];
    this.#pendingBytes = 0;
    if (this.#socket.writable) this.#send(head, pending, bytes);
  }

  /** Head, the chunk's size, its bytes, and what ends it: each only as far as there is any. */
  #send(head: string, pending: readonly (Uint8Array | string)[], bytes: number): void {
    const socket = this.#socket;
    const isChunk = this.#isChunked && bytes > 0;
    const last = this.#isChunked && this.#isEnding ? LAST_CHUNK : '';
    const total = head.length + bytes + last.length + (isChunk ? hexDigits(bytes) + 2 * LINE_END_BYTES : 0);
    if (total === 0) return;
    if (total <= COPIED_BYTES) {
      const message = Buffer.allocUnsafe(total);
      let at = head === '' ? 0 : message.write(head, 'latin1');
      if (isChunk) at = writeSize(message, at, bytes);
      for (const chunk of pending) {
        if (typeof chunk === 'string') at += message.write(chunk, at);
        else {
          message.set(chunk, at);
          at += chunk.length;
        }
      }
      if (isChunk) at = writeLineEnd(message, at);
      if (last !== '') message.write(last, at, 'latin1');
      socket.write(message);
      return;
    }
    socket.cork();
    const before = isChunk ? `${head}${bytes.toString(16)}\r\n` : head;
    if (before !== '') socket.write(before, 'latin1');
    for (const chunk of pending) socket.write(chunk);
    const after = isChunk ? `\r\n${last}` : last;
    if (after !== '') socket.write(after, 'latin1');
    socket.uncork();
  }
}

/** Of a number above 0. */
function hexDigits(number: number): number {
  return Math.ceil((32 - Math.clz32(number)) / 4);
}

/** Of a chunk. @returns The offset past it. */
function writeSize(message: Buffer, at: number, sizeBytes: number): number {
  let end = at + hexDigits(sizeBytes);
  const past = writeLineEnd(message, end);
  for (let left = sizeBytes; end > at; left >>>= 4) message[--end] = HEX.charCodeAt(left & 0xf);
  return past;
}

function writeLineEnd(message: Buffer, at: number): number {
  message[at] = CR;
  message[at + 1] = LF;
  return at + LINE_END_BYTES;
}
