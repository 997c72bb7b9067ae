import type { AppError } from '../core/error.ts';
import type { Observation } from '../core/observation.ts';
import { Reply, type ReplyHost } from './reply.ts';
import { StreamTap } from './stream-tap.ts';

/** How long an upstream may take to end its response after `[DONE]` before the connection is given up. */
const LINGER_MS = 1_000;

/** More than this of a stream without a word of content: some server has another idea of what content is. */
const SILENT_BEGUN_BYTES = 64 * 1024;

const DONE = Buffer.from('data: [DONE]\n\n');

const now = Promise.resolve();

/**
 * Server-sent events: begun with the first token. Some servers send a first event, with the role and no text, before they
 * have looked at the prompt; as long as nothing but that has come, another server may take over.
 *
 *   chunk ─┐
 *   chunk ─┼─ microtask ── tap ── sink, once per read of the socket
 *   chunk ─┘
 */
export class StreamReply extends Reply {
  readonly #tap: StreamTap;
  #unread: Buffer[] = [];

  constructor(host: ReplyHost, options: { readonly hideUsage: boolean }) {
    super(host, 'text/event-stream');
    this.#tap = new StreamTap(options);
  }

  get observation(): Observation {
    return this.#tap.observation;
  }

  onData(chunk: Buffer): void {
    if (this.#unread.push(chunk) === 1) void now.then(this.#read);
  }

  onEnd(): void {
    this.#read();
    const failure = this.#tap.end();
    // Complete all the same: the client shall see that it is.
    if (failure === undefined && !this.#tap.done) this.forward(DONE);
    this.finish(failure);
  }

  override onFailure(error: AppError): void {
    this.#read();
    super.onFailure(error);
  }

  readonly #read = (): void => {
    const unread = this.#unread;
    if (unread.length === 0) return;
    this.#unread = [];
    const bytes = unread.length === 1 ? unread[0]! : Buffer.concat(unread);
    const kept = this.#tap.push(bytes, this.host.now());
    if (kept !== undefined) this.forward(kept);
    const { failure, done, observation } = this.#tap;
    if (failure !== undefined) {
      this.breakOff(failure);
    } else if (done) {
      this.finish();
      this.letGo(LINGER_MS);
    } else if (!this.isBegun) {
      const { contentEvents, finishReasons } = observation;
      const told = contentEvents > 0 || finishReasons.length > 0;
      if (told || this.earlyBytes >= SILENT_BEGUN_BYTES) this.begin();
    }
  };
}
