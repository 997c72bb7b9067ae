import type { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { HttpSocket } from './http-socket.ts';
import type { PlainConnections } from './plain-connections.ts';

/** A client that has just sent a request on a connection of its pool is still answered. */
const IDLE_MS = 500;
const POLL_MS = 25;

interface Seen {
  bytesRead: number;
  idleSinceMs: number;
}

/**
 * Lets a server's connections end without losing a request that has reached it. Replies to what comes from then on
 * have to say `Connection: close`; replies that are already under way are made to say it here, where they still can.
 *
 *   stop listening ─▶ a connection that is idle for a while is closed ─▶ the last reply is out, or time is up
 *
 * Node's own way closes idle connections at once, and counts among them those whose reply is written but not yet sent.
 */
export class Drain {
  readonly #server: Server;
  readonly #plain: PlainConnections;
  readonly #sockets = new Map<HttpSocket, Seen>();
  #closed: Promise<true> | undefined;

  constructor(server: Server, plain: PlainConnections) {
    this.#server = server;
    this.#plain = plain;
    server.on('connection', (socket) => {
      this.#sockets.set(socket, { bytesRead: 0, idleSinceMs: 0 });
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Resolves to whether every connection ended by itself. May be called again, for those that have not. */
  async run(timeoutMs: number): Promise<boolean> {
    this.#closed ??= this.#begin();
    const untilMs = performance.now() + timeoutMs;
    while (performance.now() < untilMs) {
      const done = await Promise.race([this.#closed, delay(POLL_MS).then(() => false)]);
      if (done) return true;
      this.#endIdle(performance.now());
    }
    return false;
  }

  /** Ends all of them at once. */
  async end(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets.keys()) socket.destroy();
    await closed;
  }

  #begin(): Promise<true> {
    this.#plain.closing = true;
    for (const [socket, seen] of this.#sockets) {
      seen.idleSinceMs = performance.now();
      const reply = socket._httpMessage;
      if (reply && !reply.headersSent) reply.setHeader('connection', 'close');
    }
    return new Promise((resolve) => {
      NetServer.prototype.close.call(this.#server, () => resolve(true));
    });
  }

  #endIdle(nowMs: number): void {
    for (const [socket, seen] of this.#sockets) {
      const busy = this.#plain.isBusy(socket) ?? Boolean(socket._httpMessage);
      const idle = !busy && socket.bytesRead === seen.bytesRead;
      if (!idle) {
        seen.bytesRead = socket.bytesRead;
        seen.idleSinceMs = nowMs;
      } else if (nowMs - seen.idleSinceMs >= IDLE_MS) socket.end();
    }
  }
}
