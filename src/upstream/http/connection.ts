import { Buffer } from 'node:buffer';
import { connect as connectPlain, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { currentPoll, isAskedAgain, type Poll } from '../../core/event-poll.ts';
import { bytesRead, readBuffer } from '../../core/read-buffer.ts';
import { type Writer, writeSoon } from '../../core/write-batch.ts';
import type { Carrier, Exchange } from './exchange.ts';
import { hearLastWords } from './last-words.ts';
import { upstreamNames } from './name-lookup.ts';
import { patientTimer } from './patient-timer.ts';
import { ResponseHeads } from './response-heads.ts';
import { ResponseParser } from './response-parser.ts';
import { ATTEMPT_MS, RELAYS_PROTOCOLS, type ServerAddress } from './server-address.ts';

/** What is sent: a head in ASCII, up to and with the empty line, and a body. */
export interface SentRequest {
  readonly head: string;
  readonly body: readonly Buffer[];
  /** Of all pieces of the body. */
  readonly bodyBytes: number;
}

/** The owner of connections. */
export interface ConnectionHost {
  readonly server: ServerAddress;
  readonly connectMs: number;
  /** Its exchange is over, and it may carry another one. */
  idle(connection: Connection): void;
  /** It is of no further use. Called once, also for one that never came about. */
  gone(connection: Connection): void;
}

/** Anything smaller goes out in one piece. */
const COPIED_BYTES = 16 * 1024;
const TCP_KEEP_ALIVE_MS = 60_000;
/** Most reads take a tenth of a millisecond. */
const LONG_READ_MS = 5;

/**
 * One connection to an HTTP/1.1 server. It carries one exchange at a time, and reads straight into a buffer: Node's
 * streams would cost as much as all the rest.
 */
export class Connection implements Carrier, Writer {
  /** From then on it is not to be used, if it stays idle. Set by its host. */
  idleUntilMs = Number.POSITIVE_INFINITY;
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #stopWaiting: () => void;
  readonly #heads = new ResponseHeads();
  #isGone = false;
  #exchange: Exchange | undefined;
  #parser: ResponseParser | undefined;
  /** Responses that came over it. */
  #served = 0;
  /** The request of its exchange has not been written yet. */
  #isUnwritten = false;
  /** Where its request was written at once, in this turn of the event loop, and another answer could lie there already. */
  #writtenIn: Poll | undefined;
  #held = false;
  #keepAliveMs: number | undefined;

  /** Opens one for this exchange. */
  constructor(host: ConnectionHost, exchange: Exchange) {
    this.#host = host;
    this.#exchange = exchange;
    this.#socket = open(host.server, (bytes) => this.#read(bytes));
    this.#stopWaiting = patientTimer(host.connectMs, () => this.#cameTooLate());
    this.#socket
      .once(host.server.isTls ? 'secureConnect' : 'connect', () => this.#connected())
      .once('end', () => this.#closed())
      .once('close', () => this.#closed())
      .on('error', (error) => this.#fail(error));
  }

  /** It has carried an exchange before. */
  get reused(): boolean {
    return this.#served > 0;
  }

  get held(): boolean {
    return this.#held;
  }

  /** For how long the server says that it keeps an idle connection. */
  get keepAliveMs(): number | undefined {
    return this.#keepAliveMs;
  }

  /** To be called only while it carries none. */
  carry(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#send(exchange);
  }

  hold(): void {
    if (this.#held || this.#isGone) return;
    this.#held = true;
    this.#socket.pause();
  }

  release(): void {
    if (!this.#held || this.#isGone) return;
    this.#held = false;
    this.#socket.resume();
  }

  /** The exchange that it carries is not told. */
  destroy(): void {
    this.#parser?.stop();
    this.#exchange = undefined;
    this.#leave();
  }

  #cameTooLate(): void {
    const { connectMs, server } = this.#host;
    const why = upstreamNames.awaits(server.host) ? `, as no name server says where ${server.host} is` : '';
    this.#fail(new Error(`no connection within ${connectMs} ms${why}`));
  }

  #connected(): void {
    this.#stopWaiting();
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (exchange.over) {
      this.#exchange = undefined;
      this.#host.idle(this);
    } else this.#send(exchange);
  }

  #send(exchange: Exchange): void {
    this.#parser = new ResponseParser(exchange, this.#heads);
    exchange.sentOver(this);
    this.#isUnwritten = true;
    // Waking the other side costs little beside copying a long body, which is still in the processor's caches now.
    if (!writeSoon(this) && exchange.request.bodyBytes <= COPIED_BYTES) return;
    this.#write();
    if (this.reused) this.#writtenIn = currentPoll();
  }

  writeNow(): void {
    this.#writtenIn = undefined;
    this.#write();
  }

  #write(): void {
    if (this.#exchange === undefined || !this.#isUnwritten) return;
    this.#isUnwritten = false;
    const { head, body, bodyBytes } = this.#exchange.request;
    if (head.length + bodyBytes <= COPIED_BYTES) {
      const message = Buffer.allocUnsafe(head.length + bodyBytes);
      let at = message.write(head, 'latin1');
      for (const piece of body) at += piece.copy(message, at);
      this.#socket.write(message);
      return;
    }
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
    for (const piece of body) this.#socket.write(piece);
    this.#socket.uncork();
  }

  #read(bytes: Buffer): void {
    const parser = this.#parser;
    if (parser === undefined) {
      // Nobody has asked for anything.
      this.#leave();
      return;
    }
    if (this.#layThere) {
      this.#fail(new Error('bytes that nobody asked for'));
      return;
    }
    this.#exchange?.responseBegan();
    // Where there is room left, this was the last read of the turn.
    const startedMs = bytes.length === readBuffer.length ? performance.now() : undefined;
    let end: number;
    try {
      end = parser.push(bytes);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    if (parser.ended) this.#finish(parser, end === bytes.length);
    else if (startedMs !== undefined && performance.now() - startedMs > LONG_READ_MS) this.#letOthersRead();
  }

  /** What takes so long to read may be thousands of events; dozens of such reads could follow in the same turn of the event loop. */
  #letOthersRead(): void {
    if (this.#held || this.#isGone) return;
    this.#socket.pause();
    setImmediate(() => {
      if (!this.#held && !this.#isGone) this.#socket.resume();
    });
  }

  /**
   * What is being read was on its way before the request was written, or may have been: for an answer to come back in the same turn is rare. To ask
   * once more in vain is better than to give somebody the answer to something else.
   */
  get #layThere(): boolean {
    return this.#isUnwritten || (this.#writtenIn !== undefined && !isAskedAgain(this.#writtenIn));
  }

  /** @param clean Nothing came after the response. */
  #finish(parser: ResponseParser, clean: boolean): void {
    this.#exchange = undefined;
    this.#parser = undefined;
    if (this.#isGone) return;
    this.#served += 1;
    // The reply came before all of the request was sent, and the rest of that would go out in front of the next one.
    const isSent = this.#socket.writableLength === 0;
    if (!clean || !isSent || !parser.keepAlive) {
      this.#leave();
      return;
    }
    this.#keepAliveMs = parser.keepAliveMs;
    this.release();
    this.#host.idle(this);
  }

  /** The server has ended its side. */
  #closed(): void {
    const parser = this.#parser;
    if (parser === undefined || this.#isGone) {
      this.#fail(new Error('other side closed'));
      return;
    }
    try {
      parser.finish();
      this.destroy();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.destroy();
    exchange?.carrierFailed(error);
  }

  #leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#stopWaiting();
    this.#socket.destroy();
    this.#host.gone(this);
  }
}

function open({ host, port, isTls, tlsName }: ServerAddress, read: (bytes: Buffer) => void): Socket {
  const options = {
    host,
    port,
    lookup: upstreamNames.lookup,
    autoSelectFamilyAttemptTimeout: ATTEMPT_MS,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    onread: {
      buffer: readBuffer,
      callback(sizeBytes: number) {
        read(bytesRead(sizeBytes));
        return true;
      },
    },
  } satisfies NetConnectOpts;
  const socket = isTls
    ? connectTls({ ...options, servername: tlsName, ALPNProtocols: RELAYS_PROTOCOLS })
    : connectPlain(options);
  hearLastWords(socket);
  return socket;
}
