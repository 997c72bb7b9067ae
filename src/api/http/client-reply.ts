import type { RelaySink } from '../../core/backend.ts';

/** The way back to one client. What is written in one turn of the event loop is out at its end. */
export interface ClientReply extends RelaySink {
  /** Aborted when the client goes away before the reply has ended. Whoever listens stops listening when the request is over. */
  readonly signal: AbortSignal;
  /** Status and headers are on their way. */
  readonly started: boolean;
  /** How much the system has taken of all that was written to the connection. */
  readonly takenBytes: number;
  /**
   * @param lines Of the head, as `headerLine` makes them.
   * @param bodyBytes Without it the body goes in chunks.
   * @param close No other request may follow on this connection.
   */
  start(status: number, lines: string, bodyBytes?: number, close?: boolean): void;
  write(chunk: Uint8Array | string): boolean;
  /** May be called more than once; only the first time counts. */
  end(chunk?: Uint8Array | string): void;
  /** What it cost has been told: where nothing else is to be written in this turn, its end goes out as soon as that is on record. */
  settled(): void;
  /** Forgets a reply of which nothing is out. @returns Whether another one may be started in its place. */
  takeBack(): boolean;
  /** Breaks the connection off, so that a client cannot take a torn reply for a whole one. */
  destroy(): void;
}
