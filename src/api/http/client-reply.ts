import type { RelaySink } from '../../core/backend.ts';

/**
 * The way back to one client, written to directly. `NodeReply` is the hot path; `WebReply` lets tests call
 * `app.request()` and carries the app to other runtimes.
 */
export interface ClientReply extends RelaySink {
  /** Aborted when the client goes away before the reply has ended. */
  readonly signal: AbortSignal;
  /** Status and headers are on their way. */
  readonly started: boolean;
  start(status: number, headers: Readonly<Record<string, string>>): void;
  write(chunk: Uint8Array | string): boolean;
  end(chunk?: Uint8Array | string): void;
  /** Breaks the connection off, so that a client cannot take a torn reply for a whole one. */
  destroy(): void;
  /** What a Hono handler returns; resolves once the reply has started or, on Node, at once. */
  readonly response: Promise<Response>;
}
