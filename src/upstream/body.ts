import type { RelaySink } from '../core/backend.ts';
import { AppError } from '../core/error.ts';
import type { Observation } from '../core/observation.ts';
import type { BodyConsumer, Exchange } from './exchange.ts';
import { StreamTap } from './stream-tap.ts';
import { WholeTap } from './whole-tap.ts';

/** How long an upstream may take to end its response after `[DONE]` before the connection is given up. */
const LINGER_MS = 1_000;

/** A reply without `stream` counts as begun when it is complete, or this much of it is there. */
const WHOLE_BEGUN_BYTES = 64 * 1024;

/**
 * The body of a good response on its way to a sink. Until `begun` resolves nothing has been delivered, so a failure up
 * to there may be retried elsewhere; it rejects `begun`. Later ones reject `pump`, after what came before was written.
 */
export abstract class Body implements BodyConsumer {
  abstract readonly observation: Observation;
  readonly begun: Promise<void>;
  /** Settles when the last byte was written or cannot come, whether or not anybody pumps. */
  readonly finished: Promise<void>;
  protected readonly exchange: Exchange;
  readonly #begun = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #isBegun = false;
  #isFinished = false;
  #full = false;
  #sink: RelaySink | undefined;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
    this.begun = this.#begun.promise;
    this.finished = this.#finished.promise;
    this.finished.catch(() => {});
  }

  abstract onData(bytes: Buffer, readAtMs: number): void;
  abstract onEnd(): void;

  onFailure(error: AppError): void {
    this.finish(error);
  }

  /** To be called once. */
  pump(sink: RelaySink): Promise<void> {
    this.#sink = sink;
    const early = this.#early;
    this.#early = [];
    if (early.length > 0) this.#write(early.length === 1 ? early[0]! : Buffer.concat(early));
    if (!this.#full) this.#release();
    return this.finished;
  }

  protected get earlyBytes(): number {
    return this.#earlyBytes;
  }

  protected get isBegun(): boolean {
    return this.#isBegun;
  }

  protected forward(bytes: Buffer): void {
    if (this.#sink === undefined) {
      this.#early.push(bytes);
      this.#earlyBytes += bytes.length;
    } else {
      this.#write(bytes);
    }
  }

  /** From here on what happens concerns the pump; until it runs, the upstream waits. */
  protected begin(): void {
    this.#isBegun = true;
    if (!this.#isFinished) this.exchange.hold();
    this.#begun.resolve();
  }

  protected finish(error?: AppError): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (error === undefined) {
      if (!this.#isBegun) this.begin();
      this.#finished.resolve();
      return;
    }
    // Before the beginning nobody waits for `finished`, and afterwards nobody for `begun`.
    this.#begun.reject(error);
    this.#finished.reject(error);
  }

  #write(bytes: Buffer): void {
    const sink = this.#sink!;
    try {
      this.#full = !sink.write(bytes);
    } catch (error) {
      const failure = AppError.from(error);
      this.finish(failure);
      this.exchange.fail(failure);
      return;
    }
    if (!this.#full || this.#isFinished) return;
    this.exchange.hold();
    const resume = () => {
      this.#full = false;
      this.#release();
    };
    sink.drained().then(resume, resume);
  }

  #release(): void {
    if (!this.#isFinished) this.exchange.release();
  }
}

/** More than this of a stream without a word of content: some server has another idea of what content is. */
const SILENT_BEGUN_BYTES = 64 * 1024;

/**
 * Server-sent events: begun with the first token. Some servers send a first event, with the role and no text, before they
 * have looked at the prompt; as long as nothing but that has come, another server may take over.
 */
export class StreamBody extends Body {
  readonly #tap: StreamTap;

  constructor(exchange: Exchange, options: { hideUsage: boolean }) {
    super(exchange);
    this.#tap = new StreamTap(options);
  }

  get observation(): Observation {
    return this.#tap.observation;
  }

  onData(bytes: Buffer, readAtMs: number): void {
    const kept = this.#tap.push(bytes, readAtMs);
    if (kept !== undefined) this.forward(kept);
    const { failure, done, observation } = this.#tap;
    if (failure !== undefined) {
      this.finish(failure);
      this.exchange.fail(failure);
    } else if (done) {
      this.finish();
      this.exchange.discard(LINGER_MS);
    } else if (!this.isBegun) {
      const { contentEvents, finishReasons } = observation;
      const told = contentEvents > 0 || finishReasons.length > 0;
      if (told || this.earlyBytes >= SILENT_BEGUN_BYTES) this.begin();
    }
  }

  onEnd(): void {
    this.finish(this.#tap.end());
  }
}

/** One JSON object. */
export class WholeBody extends Body {
  readonly #tap = new WholeTap();

  get observation(): Observation {
    return this.#tap.observation;
  }

  onData(bytes: Buffer, readAtMs: number): void {
    this.#tap.push(bytes, readAtMs);
    this.forward(bytes);
    if (!this.isBegun && this.earlyBytes >= WHOLE_BEGUN_BYTES) this.begin();
  }

  onEnd(): void {
    this.finish(this.#tap.end());
  }
}
