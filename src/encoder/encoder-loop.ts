import type { EncoderRow } from '../../kernels/encoder/session.ts';
import { AppError } from '../core/error.ts';
import { Batcher } from './batcher.ts';
import { EncodeJob, type JobLimits } from './encode-job.ts';
import type { EncoderTokenizer } from './encoder-tokenizer.ts';
import {
  type FromEncoder,
  packRows,
  toWireError,
  type WireEncodeRequest,
  type WireOutcome,
} from './messages.ts';

/** A batch should not take longer, so that cancelling and new requests have their turn soon. */
const TARGET_BATCH_MS = 150;

/** Below this a batch costs more than its tokens are worth, however slow the model is. */
const FEWEST_BUDGET_TOKENS = 256;

/** Tokenising holds up the batches at most so long at a time. */
const TOKENISE_SLICE_MS = 8;

/** The encoder session as the loop uses it; see kernels/encoder/session.ts. */
export interface BatchRunner {
  run(rows: readonly EncoderRow[]): Promise<Float32Array[]>;
}

export interface EncoderLoopOptions {
  readonly runner: BatchRunner;
  readonly tokenizer: EncoderTokenizer;
  readonly limits: JobLimits;
  /** Most padded tokens per batch; smaller ones are made where the model is slow. 0: every row runs alone. */
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
 * Tokenises and runs while there is work: the first request goes at once, and those that come while a batch runs share the
 * next ones. Between two batches the event loop turns, so that requests, cancellations and pings take effect.
 */
export class EncoderLoop {
  readonly #options: EncoderLoopOptions;
  readonly #batcher = new Batcher<Item>();
  readonly #jobs = new Map<number, EncodeJob>();
  /** Jobs with inputs that are not tokenised yet, in rotation. */
  #untokenised: EncodeJob[] = [];
  #running = false;
  /** Sums over recent batches, older ones counting less. */
  #recent = { durationMs: 0, paddedTokens: 0 };

  constructor(options: EncoderLoopOptions) {
    this.#options = options;
  }

  submit(id: number, request: WireEncodeRequest): void {
    const { tokenizer, limits } = this.#options;
    const job = new EncodeJob(id, request, tokenizer, limits);
    this.#jobs.set(id, job);
    this.#untokenised.push(job);
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => void this.#turn());
  }

  cancel(id: number): void {
    this.#jobs.delete(id);
    this.#batcher.cancel(id);
    this.#untokenised = this.#untokenised.filter((job) => job.id !== id);
  }

  async #turn(): Promise<void> {
    this.#tokenise();
    await this.#runBatch();
    if (this.#untokenised.length === 0 && this.#batcher.waiting === 0) this.#running = false;
    else setImmediate(() => void this.#turn());
  }

  /** One input of each job in turn, until a batch is full or the slice is over. */
  #tokenise(): void {
    const { now } = this.#options;
    const untilMs = now() + TOKENISE_SLICE_MS;
    let tokens = 0;
    const enough = Math.max(1, 2 * this.#budgetTokens());
    while (this.#untokenised.length > 0 && now() < untilMs && tokens < enough) {
      const job = this.#untokenised.shift()!;
      try {
        const { index, row } = job.next();
        this.#batcher.add(job.id, { index, row, length: row.ids.length });
        tokens += row.ids.length;
        if (job.hasNext) this.#untokenised.push(job);
      } catch (error) {
        this.#fail([job.id], error);
      }
    }
  }

  async #runBatch(): Promise<void> {
    const { runner, send, now } = this.#options;
    const batch = this.#batcher.take(this.#budgetTokens());
    if (batch.length === 0) return;
    const startedAtMs = now();
    let vectors: Float32Array[];
    try {
      vectors = await runner.run(batch.map((member) => member.item.row));
    } catch (error) {
      this.#fail(new Set(batch.map((member) => member.request)), error);
      return;
    }
    const durationMs = now() - startedAtMs;
    const outcomes: WireOutcome[] = [];
    for (const [i, { request, item }] of batch.entries()) {
      const job = this.#jobs.get(request);
      if (job === undefined) continue;
      job.accept(item.index, vectors[i]!);
      if (!job.done) continue;
      this.#jobs.delete(request);
      const { id, promptTokens, rows } = job;
      outcomes.push({ id, promptTokens, rows: rows.length, data: packRows(rows) });
    }
    if (outcomes.length > 0) send({ type: 'outcomes', outcomes });

    const tokens = batch.reduce((sum, { item }) => sum + item.length, 0);
    const padded = batch.length * Math.max(...batch.map(({ item }) => item.length));
    this.#recent.durationMs = (7 / 8) * this.#recent.durationMs + durationMs;
    this.#recent.paddedTokens = (7 / 8) * this.#recent.paddedTokens + padded;
    const waiting = new Set([...this.#batcher.waitingRequests(), ...this.#untokenised.map((job) => job.id)])
      .size;
    const statistics = { inputs: batch.length, tokens, paddingTokens: padded - tokens, durationMs, waiting };
    send({ type: 'batched', batch: statistics });
  }

  /** Weighted by tokens, so that what every batch costs beside them does not count as theirs. */
  #budgetTokens(): number {
    const { durationMs, paddedTokens } = this.#recent;
    const affordable =
      paddedTokens === 0 ? 0 : (TARGET_BATCH_MS / Math.max(durationMs, 0.001)) * paddedTokens;
    return Math.min(this.#options.batchTokens, Math.max(FEWEST_BUDGET_TOKENS, Math.floor(affordable)));
  }

  #fail(ids: Iterable<number>, error: unknown): void {
    // What is not the request's fault is a defect here, and the supervisor keeps the end of stderr.
    if (!(error instanceof AppError)) process.stderr.write(`${String(error)}\n`);
    const outcomes = [...ids].map((id) => ({ id, error: toWireError(AppError.from(error)) }));
    for (const id of ids) this.cancel(id);
    this.#options.send({ type: 'outcomes', outcomes });
  }
}
