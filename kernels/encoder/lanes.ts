import { pinned } from '../ort/pinned.ts';
import { OrtSession } from '../ort/session.ts';
import { type EncoderRow, feedsOf, longest } from './feeds.ts';
import { type EncoderSession, type EncoderSessionOptions, resultsOf } from './session.ts';

/** As many threads as libuv's pool has, on which batches run. */
const MOST_LANES = 4;

/**
 * The graph of an encoder session once more, for several batches at a time beside the calling thread, each on a thread of its own:
 * the kernels of small models are so short that two threads wait for each other a third of the time.
 */
export class EncoderLanes {
  /** So many batches may run at a time. */
  readonly count: number;
  readonly #session: OrtSession;
  readonly #like: EncoderSession;
  readonly #size: number;
  readonly #options: EncoderSessionOptions;

  /** `like`: the session of the same graph. `size`: numbers per row of its result. Throws OrtError. */
  constructor(like: EncoderSession, size: number, options: EncoderSessionOptions) {
    const { graphPath, threads, spinning } = options;
    this.count = Math.min(threads, MOST_LANES);
    // Threads beyond one per lane are shared by all.
    const laneThreads = threads - this.count + 1;
    this.#session = new OrtSession(graphPath, { threads: laneThreads, spinning, shapesVary: true });
    this.#like = like;
    this.#size = size;
    this.#options = options;
  }

  /** As `EncoderSession.run`, on another thread. */
  async run(rows: readonly EncoderRow[]): Promise<Float32Array[]> {
    const { inputs, output } = this.#like;
    const { padId, readout } = this.#options;
    const session = this.#session;
    const dims = [rows.length, longest(rows)];
    const outputDims = output.rank === 3 ? [...dims, this.#size] : [rows.length, this.#size];
    const data = pinned(
      Float32Array,
      outputDims.reduce((product, dim) => product * dim, 1),
    );
    const feeds = new Map(
      [...feedsOf(inputs, rows, padId)].map(([name, values]) => [name, session.tensor(values, dims)]),
    );
    const result = session.tensor(data, outputDims);
    try {
      const binding = session.bind(feeds, new Map([[output.name, result]]));
      try {
        await session.runAside(binding);
      } finally {
        session.releaseBinding(binding);
      }
    } finally {
      for (const tensor of [...feeds.values(), result]) session.releaseTensor(tensor);
    }
    return resultsOf(data, rows, output, readout);
  }

  /** Nothing may run any more. */
  close(): void {
    this.#session.close();
  }
}
