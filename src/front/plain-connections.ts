import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../../config/schema.ts';
import type { ClientReply } from '../api/http/client-reply.ts';
import type { Incoming } from '../api/http/incoming.ts';
import { PlainConnection, type PlainHost } from './plain-connection.ts';
import type { PlainHead } from './plain-head.ts';
import { StallWatch } from './stall-watch.ts';

/** Answers plain requests. */
export interface PlainAnswers {
  /** POST requests for this path can be answered. */
  takes(path: string): boolean;
  answer(path: string, incoming: Incoming, client: ClientReply): void;
}

/** Time limits of plain connections are checked this often. */
const CHECK_MS = 1_000;

/**
 * Keeps the connections of Node's server until something comes over them that is not plain. Node's own way of
 * reading a request and writing a reply costs more than everything that happens in between.
 */
export class PlainConnections implements PlainHost {
  closing = false;
  readonly keepAliveMs: number;
  readonly late: (socket: Socket) => void;
  readonly #answers: PlainAnswers;
  readonly #config: () => Config;
  readonly #giveToNode: (socket: Socket) => void;
  readonly #open = new Map<Socket, PlainConnection>();
  /** Of all connections, Node's too. */
  readonly #stalls = new Map<Socket, StallWatch>();

  /** @param late Tells a client that its request has not come in time, and closes. */
  constructor(server: Server, answers: PlainAnswers, config: () => Config, late: (socket: Socket) => void) {
    this.#answers = answers;
    this.#config = config;
    this.late = late;
    this.keepAliveMs = server.keepAliveTimeout;
    const [nodes] = server.listeners('connection') as ((socket: Socket) => void)[];
    if (nodes === undefined) throw new Error('this version of Node serves connections in another way');
    this.#giveToNode = nodes.bind(server);
    server.off('connection', nodes);
    server.on('connection', (socket: Socket) => {
      this.#open.set(socket, new PlainConnection(socket, this));
      this.#stalls.set(socket, new StallWatch(socket));
      socket.once('close', () => {
        this.#open.delete(socket);
        this.#stalls.delete(socket);
      });
    });
    // After a pause of the event loop the timer comes first: let what has come and gone meanwhile be seen before judging.
    const look = () => setImmediate(() => this.#check());
    const timer = setInterval(look, Math.min(CHECK_MS, this.requestMs, this.stallMs)).unref();
    server.once('close', () => clearInterval(timer));
  }

  get requestMs(): number {
    return this.#config().listen.requestTimeoutMs;
  }

  /** A client that takes nothing of what is ready for it for this long is cut off. */
  get stallMs(): number {
    return this.#config().listen.stallTimeoutMs;
  }

  /** Whether a request is under way on a connection; undefined: it is Node's. */
  isBusy(socket: Socket): boolean | undefined {
    return this.#open.get(socket)?.busy;
  }

  takes({ path, bodyBytes }: PlainHead): boolean {
    return bodyBytes <= this.#config().listen.maxBodyBytes && this.#answers.takes(path);
  }

  answer(path: string, incoming: Incoming, client: ClientReply): void {
    this.#answers.answer(path, incoming, client);
  }

  handOver(socket: Socket, bytes: Buffer): void {
    this.#open.delete(socket);
    this.#giveToNode(socket);
    socket.emit('data', bytes);
  }

  #check(): void {
    const nowMs = performance.now();
    const { stallMs } = this;
    for (const [socket, stall] of this.#stalls)
      if (stall.stalledMs(nowMs) >= stallMs) socket.resetAndDestroy();
    for (const connection of this.#open.values()) connection.check(nowMs);
  }
}
