import type { EncoderRow } from '../../kernels/encoder/feeds.ts';
import { AppError } from '../core/error.ts';
import { Batcher, type BatchMember } from './batcher.ts';
import { EncodeJob, type JobLimits } from './encode-job.ts';
import type { EncoderTokenizer } from './encoder-tokenizer.ts';
import {
  type FromEncoder,
  packRows,
  toWireError,
  type WireEncodeRequest,
  type WireOutcome,
} from './messages.ts';

/** How large a batch may be. */
interface BatchLimits {
  /** How long it should take at most. */
  readonly durationMs: number;
  /** Smaller batches cost more than their tokens are worth, however slow the model is. */
  readonly fewestTokens: number;
}

/** Short enough for cancellations and new requests to have their turn soon. */
const ALONE: BatchLimits = { durationMs: 150, fewestTokens: 256 };

/**
 * While others are there: a small request waits for the batch that is running, and often for one with inputs of
 * another length.
 */
const AMONG_OTHERS: BatchLimits = { durationMs: 40, fewestTokens: 64 };

/** No more inputs than this need be tokenised ahead, except for the first of each request. */
const ENOUGH_ROWS = 512;

/** Tokenising holds up the batches for this long at most, at a time. */
const TOKENISE_SLICE_MS = 8;

/** A frame is read in one turn of the gateway's event loop, and this much in a millisecond. */
const FLOATS_PER_FRAME = 65_536;

/** What computes batches: an encoder session, or its lanes; see kernels/encoder. */
export interface BatchRunner {
  run(rows: readonly EncoderRow[]): Promise<Float32Array[]>;
}

/** Computes several batches at a time, each on fewer threads. */
export interface ParallelRunner extends BatchRunner {
  readonly count: number;
}

export interface EncoderLoopOptions {
  readonly runner: BatchRunner;
  /**
   * Used when there are at least as many inputs as it has places: side by side they are done earlier than one after
   * the other.
   */
  readonly lanes?: ParallelRunner | undefined;
  readonly tokenizer: EncoderTokenizer;
  readonly limits: JobLimits;
  /** Most padded tokens that are computed at a time; fewer where the model is slow. 0: every row is a batch of its own. */
  readonly batchTokens: number;
  readonly send: (message: FromEncoder) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

interface Item {
  readonly index: number;
  readonly row: EncoderRow;
  readonly length: number;
}

/**
 * Tokenises and runs while there is work: the first request goes at once, alone with all threads, and those that come while a batch
 * runs share the next ones, which run side by side where there are lanes. Between batches the event loop turns, so that requests,
 * cancellations and pings take effect.
 */
export class EncoderLoop {
  readonly #options: EncoderLoopOptions;
  readonly #batcher = new Batcher<Item>();
  readonly #jobs = new Map<number, EncodeJob>();
  /** Jobs with inputs that are not tokenised yet, in rotation. */
  #untokenised: EncodeJob[] = [];
  /** The next turn of the event loop will look for work. */
  #due = false;
  readonly #alone: Place;
  readonly #beside: Place;

  constructor(options: EncoderLoopOptions) {
    this.#options = options;
    this.#alone = new Place(options.runner, 1);
    this.#beside = new Place(options.lanes ?? options.runner, options.lanes?.count ?? 0);
  }

  submit(id: number, request: WireEncodeRequest): void {
    const { tokenizer, limits } = this.#options;
    const job = new EncodeJob(id, request, tokenizer, limits);
    this.#jobs.set(id, job);
    this.#untokenised.push(job);
    this.#soon();
  }

  cancel(id: number): void {
    this.#jobs.delete(id);
    this.#batcher.cancel(id);
    this.#untokenised = this.#untokenised.filter((job) => job.id !== id);
  }

  #soon(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.#turn();
    });
  }

  #turn(): void {
    // Also while all places are taken, so that the next one that is free need not wait for it.
    this.#tokenise();
    for (let place = this.#freePlace(); place !== undefined && this.#batcher.waiting > 0; ) {
      // What is there is spread over all free places.
      const rows = Math.ceil(this.#batcher.waiting / place.free);
      void this.#runBatch(place, this.#batcher.take(this.#budgetTokens(place), rows));
      place = this.#freePlace();
    }
    if (this.#nextToTokenise() >= 0) this.#soon();
  }

  /** Index of the job whose input is tokenised next; -1: there is enough. */
  #nextToTokenise(): number {
    if (this.#batcher.waiting < ENOUGH_ROWS) return Math.min(0, this.#untokenised.length - 1);
    return this.#untokenised.findIndex(({ id }) => !this.#batcher.hasWaiting(id));
  }

  /** Where the next batch is to run, if anywhere: alone, or in a lane beside others where there is something for each. */
  #freePlace(): Place | undefined {
    const [alone, beside] = [this.#alone, this.#beside];
    if (alone.free === 0) return undefined;
    const waiting = this.#batcher.waiting + this.#untokenised.length;
    if (beside.running === 0 && waiting < Math.max(2, beside.count)) return alone;
    if (beside.count === 0) return alone;
    return beside.free > 0 ? beside : undefined;
  }

  /** One input of each job in turn, until there is enough for some batches or the slice is over. */
  #tokenise(): void {
    const { now } = this.#options;
    const untilMs = now() + TOKENISE_SLICE_MS;
    for (let at = this.#nextToTokenise(); at >= 0 && now() < untilMs; at = this.#nextToTokenise()) {
      const job = this.#untokenised.splice(at, 1)[0]!;
      try {
        const { index, row } = job.next();
        this.#batcher.add(job.id, { index, row, length: row.ids.length });
        if (job.hasNext) this.#untokenised.push(job);
      } catch (error) {
        this.#fail([job.id], error);
      }
    }
  }

  async #runBatch(place: Place, batch: readonly BatchMember<Item>[]): Promise<void> {
    const { now } = this.#options;
    const startedAtMs = now();
    place.running++;
    let vectors: Float32Array[];
    try {
      vectors = await place.runner.run(batch.map((member) => member.item.row));
    } catch (error) {
      this.#fail(new Set(batch.map((member) => member.request)), error);
      return;
    } finally {
      place.running--;
      this.#soon();
    }
    this.#finish(place, batch, vectors, now() - startedAtMs);
  }

  #finish(
    place: Place,
    batch: readonly BatchMember<Item>[],
    vectors: readonly Float32Array[],
    durationMs: number,
  ): void {
    const { send } = this.#options;
    const outcomes: WireOutcome[] = [];
    for (const [i, { request, item }] of batch.entries()) {
      const job = this.#jobs.get(request);
      if (job === undefined) continue;
      job.accept(item.index, vectors[i]!);
      if (!job.done) continue;
      this.#jobs.delete(request);
      const { id, promptTokens } = job;
      const rest = this.#sendMany(id, job.rows);
      outcomes.push({ id, promptTokens, rows: rest.length, data: packRows(rest) });
    }
    if (outcomes.length > 0) send({ type: 'outcomes', outcomes });

    const tokens = batch.reduce((sum, { item }) => sum + item.length, 0);
    const padded = batch.length * Math.max(...batch.map(({ item }) => item.length));
    place.learn(padded, durationMs);
    const waiting = new Set([...this.#batcher.waitingRequests(), ...this.#untokenised.map((job) => job.id)])
      .size;
    const statistics = { inputs: batch.length, tokens, paddingTokens: padded - tokens, durationMs, waiting };
    send({ type: 'batched', batch: statistics });
  }

  /** @returns What is left for the outcome. */
  #sendMany(id: number, rows: readonly Float32Array[]): readonly Float32Array[] {
    const perFrame = Math.ceil(FLOATS_PER_FRAME / (rows[0]?.length || 1));
    let from = 0;
    for (; rows.length - from > perFrame; from += perFrame) {
      const some = rows.slice(from, from + perFrame);
      this.#options.send({ type: 'rows', id, rows: some.length, data: packRows(some) });
    }
    return rows.slice(from);
  }

  #budgetTokens(place: Place): number {
    const most = Math.floor(this.#options.batchTokens / place.count);
    const { durationMs, fewestTokens } = this.#jobs.size > 1 ? AMONG_OTHERS : ALONE;
    return Math.min(most, Math.max(fewestTokens, place.affordableTokens(durationMs)));
  }

  #fail(ids: Iterable<number>, error: unknown): void {
    // What is not the request's fault is a defect here, and the supervisor keeps the end of stderr.
    if (!(error instanceof AppError)) process.stderr.write(`${String(error)}\n`);
    const outcomes = [...ids].map((id) => ({ id, error: toWireError(AppError.from(error)) }));
    for (const id of ids) this.cancel(id);
    this.#options.send({ type: 'outcomes', outcomes });
  }
}

/** Where batches run, and how fast. */
class Place {
  readonly runner: BatchRunner;
  /** Batches that run there at a time, at most. */
  readonly count: number;
  running = 0;
  /** Sums over recent batches, older ones counting less. */
  #durationMs = 0;
  #paddedTokens = 0;

  constructor(runner: BatchRunner, count: number) {
    this.runner = runner;
    this.count = count;
  }

  get free(): number {
    return this.count - this.running;
  }

  learn(paddedTokens: number, durationMs: number): void {
    this.#durationMs = (7 / 8) * this.#durationMs + durationMs;
    this.#paddedTokens = (7 / 8) * this.#paddedTokens + paddedTokens;
  }

  /**
   * Tokens of a batch that takes this long. Weighted by tokens, so that the fixed cost of a batch does not count as
   * theirs.
   */
  affordableTokens(durationMs: number): number {
    const tokensPerMs = this.#paddedTokens / Math.max(this.#durationMs, 0.001);
    return Math.floor(durationMs * tokensPerMs);
  }
}
