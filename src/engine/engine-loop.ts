import { randomInt } from 'node:crypto';
import { AppError } from '../core/error.ts';
import { choiceCount } from '../core/request.ts';
import { createGeneration } from './generation.ts';
import { type FromEngine, fromWireRequest, toWirePart, type WireGenerateRequest } from './messages.ts';
import { type CopyableKv, PrefixCache } from './prefix-cache.ts';
import type { PromptModel } from './prompt-tokens.ts';
import type { NewConstraint, RequestGrammars } from './request-grammars.ts';
import { type Delivery, type DraftVerifier, Runner, type StepDecoder, type StepReport } from './runner.ts';
import { Scheduler } from './scheduler.ts';
import type { Sequence } from './sequence.ts';
import { StepBudget } from './step-budget.ts';

/**
 * Between two steps, prompts are tokenised for this long at most, so that a burst of requests does not hold up those
 * that decode.
 */
const TOKENISING_MS = 8;

/** Statistics are sent at most this often. */
const REPORT_INTERVAL_MS = 100;

interface Arrival {
  readonly id: number;
  readonly wire: WireGenerateRequest;
  readonly choices: number;
  /** What its choices are held to. */
  readonly constraint: NewConstraint | undefined;
}

export interface EngineLoopOptions {
  readonly decoder: StepDecoder & CopyableKv;
  /** Undefined: no speculation. */
  readonly verifier?: DraftVerifier | undefined;
  readonly prompts: PromptModel;
  readonly grammars: RequestGrammars;
  readonly slots: number;
  readonly queueLimit: number;
  readonly prefixCacheBytes: number;
  readonly send: (message: FromEngine) => void;
  /** Resolves when the other side has taken enough of what was sent. */
  readonly drained: () => Promise<void> | undefined;
}

/**
 * Steps the runner while there is work. Between two steps the event loop turns, so that requests, cancellations and
 * pings that came meanwhile take effect before the next one.
 */
export class EngineLoop {
  readonly #options: EngineLoopOptions;
  readonly #cache: PrefixCache;
  readonly #scheduler: Scheduler<Sequence>;
  readonly #runner: Runner;
  /** By id, choices of requests whose grammar is being compiled. */
  readonly #compiling = new Map<number, number>();
  /** Not tokenised yet. */
  #arrivals: Arrival[] = [];
  #stepping = false;
  #reportedAtMs = 0;
  #steps: StepReport[] = [];

  constructor(options: EngineLoopOptions) {
    this.#options = options;
    const { decoder, verifier, slots, queueLimit, prefixCacheBytes } = options;
    const cache = new PrefixCache(decoder, prefixCacheBytes);
    this.#cache = cache;
    const budget = new StepBudget();
    this.#scheduler = new Scheduler<Sequence>({
      slots,
      queueLimit,
      busyChunkTokens: (waiting) => budget.chunkTokens(waiting),
      restorable: ({ prompt, cacheSalt }) => cache.restorable(prompt, cacheSalt),
    });
    this.#runner = new Runner({
      decoder,
      verifier,
      cache,
      scheduler: this.#scheduler,
      budget,
      now: () => performance.now(),
    });
  }

  submit(id: number, wire: WireGenerateRequest): void {
    const choices = choiceCount(wire);
    let arriving = this.#arrivals.reduce((sum, arrival) => sum + arrival.choices, 0);
    for (const waiting of this.#compiling.values()) arriving += waiting;
    // Before tokenising: refusing has to stay cheap when there is too much to do.
    if (!this.#scheduler.hasRoomFor(arriving + choices)) {
      this.#refuse(id, new AppError('overloaded', { retryAfterMs: 1_000 }));
      return;
    }
    const compiled = this.#options.grammars.compile(wire);
    if (compiled === undefined) this.#arrive({ id, wire, choices, constraint: undefined });
    else void this.#arriveCompiled({ id, wire, choices }, compiled);
  }

  #arrive(arrival: Arrival): void {
    this.#arrivals.push(arrival);
    this.#wake();
  }

  async #arriveCompiled(
    arrival: Omit<Arrival, 'constraint'>,
    compiled: Promise<NewConstraint>,
  ): Promise<void> {
    this.#compiling.set(arrival.id, arrival.choices);
    try {
      const constraint = await compiled;
      // If it is not there any more, it has been cancelled in the meantime.
      if (this.#compiling.delete(arrival.id)) this.#arrive({ ...arrival, constraint });
    } catch (error) {
      if (this.#compiling.delete(arrival.id)) this.#refuse(arrival.id, AppError.from(error));
    }
  }

  cancel(id: number): void {
    const before = this.#arrivals.length;
    this.#arrivals = this.#arrivals.filter((arrival) => arrival.id !== id);
    const wasCompiling = this.#compiling.delete(id);
    if (this.#runner.cancel(id) || this.#arrivals.length < before || wasCompiling)
      this.#deliver([{ id, parts: [], ended: true }]);
  }

  #admitArrivals(): void {
    const startedAtMs = performance.now();
    for (;;) {
      const arrival = this.#arrivals.shift();
      if (arrival === undefined) return;
      this.#admit(arrival);
      if (performance.now() - startedAtMs >= TOKENISING_MS) return;
    }
  }

  #admit({ id, wire, constraint }: Arrival): void {
    try {
      const request = fromWireRequest(wire);
      const generation = createGeneration({
        id,
        request,
        model: this.#options.prompts,
        randomSeed: () => randomInt(2 ** 31),
        constraint,
      });
      const delivery = this.#runner.submit(generation);
      if (delivery !== undefined) this.#deliver([delivery]);
    } catch (error) {
      this.#refuse(id, AppError.from(error));
    }
  }

  #refuse(id: number, error: AppError): void {
    this.#deliver([{ id, parts: [{ type: 'error', error }], ended: true }]);
  }

  #wake(): void {
    if (this.#stepping) return;
    this.#stepping = true;
    setImmediate(() => this.#step());
  }

  #step(): void {
    this.#admitArrivals();
    const report = this.#runner.step();
    if (report !== undefined) {
      if (report.deliveries.length > 0) this.#deliver(report.deliveries);
      this.#steps.push(report);
    }
    const idle = report === undefined && this.#arrivals.length === 0;
    if (idle || performance.now() - this.#reportedAtMs >= REPORT_INTERVAL_MS) this.#report();
    if (idle) {
      this.#stepping = false;
      return;
    }
    const drained = this.#options.drained();
    if (drained === undefined) setImmediate(() => this.#step());
    else void drained.then(() => this.#step());
  }

  #deliver(deliveries: readonly Delivery[]): void {
    this.#options.send({
      type: 'parts',
      deliveries: deliveries.map(({ id, parts, ended }) => ({ id, parts: parts.map(toWirePart), ended })),
    });
  }

  #report(): void {
    const steps = this.#steps;
    if (steps.length === 0) return;
    const decoding = steps.filter((s) => s.batchSize > 0);
    this.#options.send({
      type: 'stepped',
      statistics: {
        batchSize: Math.max(...steps.map((s) => s.batchSize)),
        waiting: this.#runner.waiting + this.#arrivals.length,
        decodeMs: decoding.reduce((sum, s) => sum + s.decodeMs, 0) / Math.max(1, decoding.length),
        prefillTokens: steps.reduce((sum, s) => sum + s.prefillTokens, 0),
        cachedTokens: steps.reduce((sum, s) => sum + s.cachedTokens, 0),
        draftedTokens: steps.reduce((sum, s) => sum + s.draftedTokens, 0),
        acceptedTokens: steps.reduce((sum, s) => sum + s.acceptedTokens, 0),
        prefixCacheBytes: this.#cache.sizeBytes,
      },
    });
    this.#steps = [];
    this.#reportedAtMs = performance.now();
  }
}
