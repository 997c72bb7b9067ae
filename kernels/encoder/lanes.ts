import type { EncoderRow } from './feeds.ts';
import { EncoderSession, type EncoderSessionOptions } from './session.ts';

/** As many threads as libuv's pool has, on which batches run. */
const MOST_LANES = 4;

/**
 * An encoder's graph for several batches at a time beside the calling thread, each on a thread of its own: the kernels of small models
 * are so short that two threads wait for each other a third of the time.
 */
export class EncoderLanes {
  /** How many batches may run at a time. */
  readonly count: number;
  readonly #session: EncoderSession;

  private constructor(session: EncoderSession, count: number) {
    this.#session = session;
    this.count = count;
  }

  /** Throws as `EncoderSession.load` does. */
  static async load(options: EncoderSessionOptions): Promise<EncoderLanes> {
    const count = Math.min(options.threads, MOST_LANES);
    // Threads beyond one per lane are shared by all.
    const threads = options.threads - count + 1;
    return new EncoderLanes(await EncoderSession.load({ ...options, threads }), count);
  }

  /** As `EncoderSession.run`, on another thread. */
  run(rows: readonly EncoderRow[]): Promise<Float32Array[]> {
    return this.#session.runAside(rows);
  }

  /** Nothing may run any more. */
  close(): void {
    this.#session.close();
  }
}
