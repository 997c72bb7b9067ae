import type { RelaySink } from '../../core/backend.ts';
import type { AppError } from '../../core/error.ts';
import { offAbort, onAbort } from '../../core/on-abort.ts';
import { errorEvent } from '../openai/error-body.ts';
import type { Call } from './call.ts';
import type { ClientReply } from './client-reply.ts';
import { headerLine } from './header-lines.ts';

const HEAD_LINES =
  headerLine('content-type', 'text/event-stream; charset=utf-8') +
  headerLine('cache-control', 'no-cache') +
  headerLine('x-accel-buffering', 'no');
/** With a blank line of its own: some clients take what stands between blank lines as a whole, and would lose the event behind a comment (Dify). */
const HEARTBEAT = ': heartbeat\n\n';
/** For openai-go: before 3.43 it takes every blank line for an event, and breaks off at one that is empty. */
const HEARTBEAT_LINE = ': heartbeat\n';
const NEWLINE = 0x0a;

/**
 * A server-sent event stream to one client. The status line is sent with the first bytes, so that a failure before them
 * can still have a status of its own; a heartbeat counts as bytes.
 */
export class EventStream implements RelaySink {
  readonly #call: Call;
  readonly #reply: ClientReply;
  readonly #timer: NodeJS.Timeout;
  readonly #stop: () => void;
  #silent = false;
  #betweenEvents = true;

  /** @param heartbeatMs A comment line is sent after this long a silence, also before the first event. */
  constructor(call: Call, heartbeatMs: number) {
    this.#call = call;
    this.#reply = call.client;
    // Two ticks per period and a flag: no clock is read and no timer set per chunk.
    this.#timer = setInterval(() => this.#tick(), Math.max(1, heartbeatMs / 2));
    this.#timer.unref();
    const stop = () => clearInterval(this.#timer);
    this.#stop = stop;
    onAbort(this.#reply.signal, stop);
  }

  write(chunk: Uint8Array | string): boolean {
    if (chunk.length === 0) return true;
    if (!this.#reply.started) this.#start();
    this.#silent = false;
    const end = chunk.length - 1;
    this.#betweenEvents =
      typeof chunk === 'string'
        ? chunk.endsWith('\n\n')
        : chunk[end] === NEWLINE && (chunk[end - 1] === NEWLINE || chunk[end - 2] === NEWLINE);
    return this.#reply.write(chunk);
  }

  drained(): Promise<void> {
    return this.#reply.drained();
  }

  get untakenBytes(): number | undefined {
    return this.#reply.untakenBytes;
  }

  destroy(): void {
    this.#reply.destroy();
  }

  end(lastEvents = ''): void {
    this.#leave();
    if (!this.#reply.started) this.#start();
    this.#reply.end(lastEvents === '' ? undefined : lastEvents);
  }

  /**
   * Ends a stream that has begun with an error event and, so that nobody takes it for whole, without `[DONE]`. One that has
   * not becomes an ordinary error reply.
   */
  fail(error: AppError): void {
    this.#leave();
    if (!this.#reply.started) this.#call.sendError(error);
    else this.end(this.#betweenEvents ? errorEvent(error) : `\n\n${errorEvent(error)}`);
  }

  #leave(): void {
    this.#stop();
    offAbort(this.#reply.signal, this.#stop);
  }

  #start(): void {
    this.#call.start(200, HEAD_LINES);
  }

  #tick(): void {
    if (!this.#silent) {
      this.#silent = true;
      return;
    }
    if (!this.#betweenEvents) return;
    this.write(this.#call.header('x-stainless-lang') === 'go' ? HEARTBEAT_LINE : HEARTBEAT);
    this.#betweenEvents = true;
  }
}
