import { Buffer } from 'node:buffer';
import type { BodyFraming, ParsedHead } from './response-head.ts';
import { ResponseHeads } from './response-heads.ts';

/** A server that does not keep to HTTP/1.1; the connection is of no use any more. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Told in this order; `onData` once for all that one read brought. */
export interface ResponseListener {
  onHead(head: ParsedHead): void;
  /** @param bytes Of the body; the listener's to keep. */
  onData(bytes: Buffer): void;
  onEnd(): void;
}

/** As much as Node and undici take. */
const MAX_HEAD_BYTES = 16 * 1024;
/** Of a chunk's size with its extensions, and of all trailers. */
const MAX_LINE_BYTES = 4 * 1024;
/** Of responses below 200. Some servers send one every few seconds. */
const MAX_ANNOUNCEMENTS = 1_000;
const MAX_SIZE_DIGITS = 12;
/** Of a size that is read without making a string of it. */
const PLAIN_SIZE_DIGITS = 6;

const LINE_END_BYTES = 2;
const CR = 0x0d;
const LF = 0x0a;
const BEGINNING = 'HTTP/1.';
const HEAD_END = Buffer.from('\r\n\r\n');
/** In a head that has not ended yet; of one that has, every line is looked at. */
const LONE_LF = /[^\r]\n/;
const NOTHING = Buffer.alloc(0);

type State = 'head' | 'sized' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'until-close' | 'ended';

/**
 * Reads one HTTP/1.1 response from bytes that may be cut anywhere (RFC 9112). Whatever could be understood in two ways is an
 * error: two lengths that differ, a length beside chunks, lines that end in LF alone, folded lines.
 *
 *   head ─┬─▶ sized ───────────────────────────┐
 *         ├─▶ chunk-size ⇄ chunk ─▶ trailers ──┼─▶ ended
 *         └─▶ until-close ─────────────────────┘
 */
export class ResponseParser {
  readonly #listener: ResponseListener;
  readonly #heads: ResponseHeads;
  #state: State = 'head';
  /** An unfinished head or line. */
  #held: Buffer = NOTHING;
  /** Bytes of the body, or of the chunk, yet to come. */
  #left = 0;
  #trailerBytes = 0;
  #announcements = 0;
  #head: ParsedHead | undefined;
  #stopped = false;

  /** @param heads Reads those of the same connection. */
  constructor(listener: ResponseListener, heads = new ResponseHeads()) {
    this.#listener = listener;
    this.#heads = heads;
  }

  /** The response is complete. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Once it has ended: another request may follow on the connection. */
  get keepAlive(): boolean {
    return this.#head?.keepAlive === true;
  }

  /** For how long the server says that it keeps an idle connection. */
  get keepAliveMs(): number | undefined {
    return this.#head?.keepAliveMs;
  }

  /** The listener is told nothing more. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * @param bytes Valid during the call only.
   * @returns The offset past the response; nobody has asked for what comes after.
   * @throws ProtocolError
   */
  push(bytes: Buffer): number {
    let at = 0;
    while (this.#state === 'head') {
      const end = this.#readHead(bytes, at);
      if (end < 0) return bytes.length;
      at = end;
      if (this.#stopped) return at;
    }
    return this.#readBody(bytes, at);
  }

  /** The server has closed. @throws ProtocolError if that is too early. */
  finish(): void {
    if (this.#state === 'until-close') this.#end();
    else if (this.#state !== 'ended') throw new ProtocolError('other side closed');
  }

  /** @returns The offset past it, or −1 if there is more to come. */
  #readHead(bytes: Buffer, from: number): number {
    let text = bytes;
    let start = from;
    const heldBytes = this.#held.length;
    if (heldBytes > 0) {
      text = Buffer.concat([this.#held, bytes.subarray(from)]);
      start = 0;
    }
    const end = text.indexOf(HEAD_END, Math.max(start, start + heldBytes - 3));
    if ((end < 0 ? text.length : end) - start > MAX_HEAD_BYTES)
      throw new ProtocolError(`a response head of more than ${MAX_HEAD_BYTES} bytes`);
    if (end < 0) {
      if (!BEGINNING.startsWith(text.toString('latin1', start, start + BEGINNING.length)))
        throw new ProtocolError('no HTTP/1.1 response');
      // Such a head would never end.
      if (LONE_LF.test(text.toString('latin1', start))) throw new ProtocolError('a broken response header');
      this.#held = heldBytes > 0 ? text : Buffer.from(text.subarray(start));
      return -1;
    }
    this.#held = NOTHING;
    const head = this.#heads.read(text.toString('latin1', start, end));
    if (typeof head === 'string') throw new ProtocolError(head);
    const past = end + HEAD_END.length - (text === bytes ? 0 : heldBytes - from);
    // A response below 200 only announces another one.
    if (head.status >= 200) this.#begin(head);
    else if (++this.#announcements > MAX_ANNOUNCEMENTS) throw new ProtocolError('announcements without end');
    return past;
  }

  #begin(head: ParsedHead): void {
    this.#head = head;
    this.#state = stateOf(head.framing);
    if (typeof head.framing === 'number') this.#left = head.framing;
    this.#listener.onHead(head);
  }

  #readBody(bytes: Buffer, from: number): number {
    switch (this.#state) {
      case 'sized':
        return this.#readSized(bytes, from);
      case 'until-close':
        this.#tell(bytes, from, bytes.length);
        return bytes.length;
      case 'ended':
        return from;
      default:
        return this.#readChunked(bytes, from);
    }
  }

  #readSized(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#left);
    this.#left -= end - from;
    this.#tell(bytes, from, end);
    if (this.#left === 0) this.#end();
    return end;
  }

  #tell(bytes: Buffer, start: number, end: number): void {
    if (end <= start || this.#stopped) return;
    const copy = Buffer.allocUnsafe(end - start);
    bytes.copy(copy, 0, start, end);
    this.#listener.onData(copy);
  }

  /** What the chunks of one read bring is copied together, without the framing around it. */
  #readChunked(bytes: Buffer, from: number): number {
    let payload: Buffer = NOTHING;
    let filled = 0;
    let at = from;
    try {
      while (at < bytes.length && this.#state !== 'ended') {
        if (this.#state === 'chunk') {
          const size = Math.min(bytes.length - at, this.#left);
          if (payload === NOTHING) payload = roomFor(size, bytes.length - at);
          filled += bytes.copy(payload, filled, at, at + size);
          this.#left -= size;
          at += size;
          if (this.#left === 0) this.#state = 'chunk-end';
        } else {
          at = this.#readLine(bytes, at);
        }
      }
    } finally {
      if (filled > 0 && !this.#stopped)
        this.#listener.onData(filled === payload.length ? payload : payload.subarray(0, filled));
    }
    if (this.#state === 'ended') this.#end();
    return at;
  }

  #readLine(bytes: Buffer, from: number): number {
    const past = this.#held.length === 0 ? this.#readPlainLine(bytes, from) : -1;
    return past < 0 ? this.#readAnyLine(bytes, from) : past;
  }

  /**
   * What nearly always stands between chunks, without making a string of it.
   *
   * @returns The offset past it, or −1 if it is something else.
   */
  #readPlainLine(bytes: Buffer, from: number): number {
    let at = from;
    if (this.#state === 'chunk-size') {
      let size = 0;
      for (; at < from + PLAIN_SIZE_DIGITS; at += 1) {
        const digit = hexDigit(bytes[at]);
        if (digit < 0) break;
        size = size * 16 + digit;
      }
      if (at === from || bytes[at] !== CR || bytes[at + 1] !== LF) return -1;
      this.#beginChunk(size);
    } else {
      if (this.#state !== 'chunk-end' || bytes[at] !== CR || bytes[at + 1] !== LF) return -1;
      this.#state = 'chunk-size';
    }
    return at + 2;
  }

  /** @returns The offset past the line, or the end of the bytes. */
  #readAnyLine(bytes: Buffer, from: number): number {
    const newline = bytes.indexOf(LF, from);
    const end = newline < 0 ? bytes.length : newline;
    if (end - from + this.#held.length > MAX_LINE_BYTES)
      throw new ProtocolError('a line between chunks is too long');
    if (newline < 0) {
      this.#held = Buffer.concat([this.#held, bytes.subarray(from)]);
      return end;
    }
    let line = bytes.toString('latin1', from, newline);
    if (this.#held.length > 0) {
      line = this.#held.toString('latin1') + line;
      this.#held = NOTHING;
    }
    if (line.charCodeAt(line.length - 1) !== CR) throw new ProtocolError('a line that does not end in CR LF');
    this.#take(line.slice(0, -1));
    return newline + 1;
  }

  #take(line: string): void {
    if (this.#state === 'chunk-end') {
      if (line !== '') throw new ProtocolError('a chunk longer than it says');
      this.#state = 'chunk-size';
    } else if (this.#state === 'chunk-size') {
      this.#beginChunk(chunkSize(line));
    } else if (line === '') {
      this.#state = 'ended';
    } else {
      // Nobody reads them.
      this.#trailerBytes += line.length;
      if (this.#trailerBytes > MAX_LINE_BYTES) throw new ProtocolError('trailers are too long');
    }
  }

  #beginChunk(size: number): void {
    this.#left = size;
    this.#state = size === 0 ? 'trailers' : 'chunk';
  }

  #end(): void {
    this.#state = 'ended';
    if (!this.#stopped) this.#listener.onEnd();
  }
}

function stateOf(framing: BodyFraming): State {
  if (framing === 'chunked') return 'chunk-size';
  return framing === 'until-close' ? 'until-close' : 'sized';
}

/** Memory for a chunk, or for as much of it as has come; unless it is the last one of the read, for the others, too. */
function roomFor(sizeBytes: number, leftBytes: number): Buffer {
  const isLast = leftBytes - sizeBytes <= LINE_END_BYTES;
  return Buffer.allocUnsafe(isLast ? sizeBytes : leftBytes);
}

/** −1: it is none. */
function hexDigit(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}

/** Extensions after a semicolon mean nothing to us. */
function chunkSize(line: string): number {
  const digits = /^([0-9a-f]+)[\t ]*(?:;.*)?$/i.exec(line)?.[1];
  if (digits === undefined || digits.length > MAX_SIZE_DIGITS)
    throw new ProtocolError('a chunk without a proper size');
  return Number.parseInt(digits, 16);
}
