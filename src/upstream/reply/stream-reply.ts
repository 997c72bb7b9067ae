import type { AppError } from '../../core/error.ts';
import type { Observation } from '../../core/observation.ts';
import { timedOut } from '../errors/server-faults.ts';
import type { StreamExpectations } from '../tap/event-inspector.ts';
import { StreamTap } from '../tap/stream-tap.ts';
import { dropEvent, holdEvent, type LargeEventHolder } from './large-events.ts';
import { Reply, type ReplyHost } from './reply.ts';

/** How long an upstream may take to end its response after `[DONE]` before the connection is given up. */
const LINGER_MS = 1_000;

/** How long it may take to say `[DONE]` once all has come. */
const DONE_MS = 1_000;

/** After this much of a stream without any content, the server must have another idea of what content is. */
const SILENT_BEGUN_BYTES = 64 * 1024;

const DONE = Buffer.from('data: [DONE]\n\n');

/**
 * Server-sent events: begun with the first token. Some servers send a first event, with the role and no text, before they
 * have looked at the prompt; as long as nothing but that has come, another server may take over.
 */
export class StreamReply extends Reply implements LargeEventHolder {
  readonly #tap: StreamTap;
  /** How many events had brought content when nothing seemed to be missing but `[DONE]`. */
  #completeEvents = -1;
  /** Of the last event not all had come, so that it may be a large one. */
  #isMidEvent = false;

  constructor(host: ReplyHost, options: Omit<StreamExpectations, 'secrets'>) {
    super(host, 'text/event-stream');
    this.#tap = new StreamTap({ ...options, secrets: host.secrets });
  }

  get observation(): Observation {
    return this.#tap.observation;
  }

  onEnd(): void {
    const rest = this.#tap.pushEnd(this.host.now());
    if (rest !== undefined) this.forward(rest);
    const failure = this.#tap.end();
    // Complete all the same: the client is to see that it is.
    if (failure === undefined && !this.#tap.done) this.forward(DONE);
    this.finish(failure);
  }

  /** A server that has said all there is, and then neither says so nor ends, has served its client all the same. */
  override onFailure(error: AppError): void {
    const isServers = error.code === 'upstream_timeout' || error.code === 'upstream_error';
    if (isServers && !this.isOver && this.#tap.isServed) {
      this.forward(DONE);
      this.finish();
    } else {
      super.onFailure(error);
    }
  }

  protected override finish(reason?: AppError): void {
    super.finish(reason);
    if (this.#isMidEvent) dropEvent(this);
  }

  onData(bytes: Buffer): void {
    const kept = this.#tap.push(bytes, this.host.now());
    if (kept !== undefined) this.forward(kept);
    if (kept === undefined || this.#isMidEvent) this.#boundEvent();
    const { failure, done, observation } = this.#tap;
    if (failure !== undefined) {
      this.breakOff(failure);
    } else if (done) {
      this.finish();
      this.letGo(LINGER_MS);
    } else {
      const { contentEvents, finishReasons } = observation;
      const told = contentEvents > 0 || finishReasons.length > 0;
      if (!this.isBegun && (told || this.earlyBytes >= SILENT_BEGUN_BYTES)) this.begin();
      if (finishReasons.length > 0) this.#boundEnd(contentEvents);
    }
  }

  /** Some servers tell with every event why they end, and what they have used: what still brings content has not ended. */
  #boundEnd(contentEvents: number): void {
    if (contentEvents === this.#completeEvents || !this.#tap.isComplete) return;
    this.#completeEvents = contentEvents;
    this.expire(DONE_MS);
  }

  giveUp(waitedMs: number): void {
    this.breakOff(timedOut('the end of a large event, which kept others waiting', waitedMs));
  }

  #boundEvent(): void {
    const { heldBytes } = this.#tap;
    this.#isMidEvent = heldBytes > 0;
    if (!holdEvent(this, heldBytes)) this.wait();
  }
}
