import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { ClientReply } from '../api/http/client-reply.ts';
import type { Incoming } from '../api/http/incoming.ts';
import { onAbort } from '../core/on-abort.ts';
import { turnTimeMs } from '../core/turn-clock.ts';
import { HeadReader } from './head-reader.ts';
import type { PlainHead } from './plain-head.ts';
import { PlainIncoming } from './plain-incoming.ts';
import { PlainReply, type ReplyHost } from './plain-reply.ts';
import { readShared } from './read-shared.ts';

/** Who owns plain connections. */
export interface PlainHost {
  readonly keepAliveMs: number;
  /** A request has to be there within this. */
  readonly requestMs: number;
  /** Connections take no other request after the one that they have. */
  readonly closing: boolean;
  /** Whether it answers plain requests with this head. */
  takes(head: PlainHead): boolean;
  answer(path: string, incoming: Incoming, client: ClientReply): void;
  /** Node is to read on, from these bytes; the connection has let go of its socket. */
  handOver(socket: Socket, bytes: Buffer): void;
  /** Tells the client that its request has not come in time, and ends the connection. */
  late(socket: Socket): void;
}

const MAX_HEAD_BYTES = 16 * 1024;
/** Of requests that a client sends before it has the answer to the last. */
const MAX_EARLY_BYTES = 64 * 1024;
/** Whoever is just about to use an idle connection may do so past the time that it was told. */
const GRACE_MS = 1_000;
/** To close while something comes in resets the connection, and may cost the client the reply. */
const LINGER_MS = 1_000;
const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * One client's connection for as long as all that comes over it is plain: heads that come in one piece and can be read in one way
 * only. With the first that is not, the connection becomes Node's.
 *
 *   idle ─┬─▶ answering, while the rest of the body may still come ─┬─▶ idle
 *         └─▶ handed over                                           └─▶ over
 */
export class PlainConnection implements ReplyHost {
  readonly socket: Socket;
  readonly #host: PlainHost;
  readonly #gone = new AbortController();
  readonly #listeners: Readonly<Record<string, () => void>>;
  readonly #stopReading: () => void;
  readonly #heads = new HeadReader();
  /** Since when it has been idle, or over, or a request has been coming. */
  #sinceMs: number;
  #served = 0;
  /** There will be no other reply; what still comes is of no interest. */
  #isOver = false;
  #incoming: PlainIncoming | undefined;
  #reply: PlainReply | undefined;
  #early: Buffer[] = [];
  #earlyBytes = 0;

  constructor(socket: Socket, host: PlainHost) {
    this.socket = socket;
    this.#host = host;
    this.#sinceMs = turnTimeMs();
    // What requests add and remove is cheap as long as one stays.
    onAbort(this.#gone.signal, () => {});
    this.#listeners = {
      drain: () => {
        this.#reply?.drainedNow();
        this.#next();
      },
      // Who has closed one side is taken to be gone, as Node's server does, but for the rest of a reply.
      end: () => (this.#reply === undefined || this.#isOver ? socket.destroySoon() : socket.destroy()),
      // `close` follows and says all that matters.
      error() {},
      close: () => this.#closed(),
    };
    for (const event in this.#listeners) socket.on(event, this.#listeners[event]!);
    this.#stopReading = readShared(
      socket,
      (bytes) => this.#read(bytes),
      () => this.#incoming?.room,
    );
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get keepAliveMs(): number {
    return this.#host.keepAliveMs;
  }

  get closing(): boolean {
    return this.#host.closing;
  }

  /** A request is under way, or its reply. */
  get busy(): boolean {
    return this.#incoming !== undefined || this.socket.writableLength > 0;
  }

  /** Ends what takes too long. To be called every now and then. */
  check(nowMs: number): void {
    const { socket } = this;
    const host = this.#host;
    const incoming = this.#incoming;
    const forMs = nowMs - this.#sinceMs;
    // Whether the client takes any of it is watched by the host.
    if (socket.writableLength > 0) return;
    if (this.#isOver) {
      if (forMs >= LINGER_MS) socket.destroy();
    } else if (incoming === undefined && this.#served > 0) {
      if (forMs >= host.keepAliveMs + GRACE_MS) socket.destroySoon();
    } else if (incoming?.whole !== true && forMs >= host.requestMs) this.#late(nowMs);
  }

  replied(keepAlive: boolean): void {
    const incoming = this.#incoming!;
    this.#reply = undefined;
    this.#served += 1;
    if (keepAlive) {
      if (incoming.pending) incoming.drop();
      this.#next();
      return;
    }
    this.#isOver = true;
    this.#sinceMs = turnTimeMs();
    if (incoming.whole && this.#early.length === 0) this.socket.destroySoon();
    else {
      incoming.drop();
      this.socket.end();
    }
  }

  #late(nowMs: number): void {
    this.#isOver = true;
    this.#sinceMs = nowMs;
    // Its reply is there before all of the request is.
    if (this.#incoming !== undefined && (this.#reply === undefined || this.#reply.started))
      this.socket.destroy();
    else this.#host.late(this.socket);
  }

  #read(bytes: Buffer): void {
    if (this.#isOver || !this.socket.writable) return;
    if (this.#incoming === undefined) {
      this.#begin(bytes);
      return;
    }
    const taken = this.#incoming.push(bytes);
    if (taken < bytes.length) this.#keepEarly(bytes.subarray(taken));
    this.#next();
  }

  #begin(bytes: Buffer): void {
    const end = bytes.indexOf(HEAD_END);
    const head =
      end < 0 || end > MAX_HEAD_BYTES ? undefined : this.#heads.read(bytes.toString('latin1', 0, end));
    if (head === undefined || !this.#host.takes(head)) {
      this.#handOver(bytes);
      return;
    }
    const incoming = new PlainIncoming(head, this.#resume);
    const reply = new PlainReply(this, head.keepAlive);
    this.#incoming = incoming;
    this.#reply = reply;
    this.#sinceMs = turnTimeMs();
    const start = end + HEAD_END.length;
    if (start < bytes.length || incoming.whole) {
      const past = start + incoming.push(bytes, start);
      if (past < bytes.length) this.#keepEarly(bytes.subarray(past));
    }
    this.#host.answer(head.path, incoming, reply);
    if (incoming.pending) this.socket.pause();
  }

  /** Node reads past the socket's own buffer: what was left there during a pause goes with the bytes. */
  #handOver(bytes: Buffer): void {
    const { socket } = this;
    for (const event in this.#listeners) socket.off(event, this.#listeners[event]!);
    this.#stopReading();
    const all = [bytes];
    for (let rest = socket.read(); rest !== null; rest = socket.read()) all.push(rest as Buffer);
    this.#host.handOver(socket, Buffer.concat(all));
  }

  /** The next request, once this one has come and is answered, and the client takes its answers. */
  #next(): void {
    if (this.#reply !== undefined || this.#incoming?.whole !== true || this.socket.writableNeedDrain) return;
    this.#incoming = undefined;
    this.#sinceMs = turnTimeMs();
    const early = this.#early;
    if (early.length === 0 || this.socket.destroyed) return;
    this.#early = [];
    this.#earlyBytes = 0;
    this.#resume();
    this.#begin(early.length === 1 ? early[0]! : Buffer.concat(early));
  }

  #keepEarly(bytes: Buffer): void {
    this.#early.push(Buffer.from(bytes));
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > MAX_EARLY_BYTES) this.socket.pause();
  }

  #closed(): void {
    this.#reply?.drainedNow();
    this.#incoming?.leave();
    this.#gone.abort();
  }

  readonly #resume = (): void => {
    if (this.socket.isPaused()) this.socket.resume();
  };
}
