import { randomInt } from 'node:crypto';
import { AppError } from '../core/error.ts';
import type { Part } from '../core/part.ts';
import { createGeneration } from './generation.ts';
import { type FromEngine, fromWireRequest, toWirePart, type WireGenerateRequest } from './messages.ts';
import type { PromptModel } from './prompt-tokens.ts';
import { type Delivery, Runner, type StepDecoder, type StepReport } from './runner.ts';
import { Scheduler } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

/** Statistics are sent at most this often. */
const REPORT_INTERVAL_MS = 100;

export interface EngineLoopOptions {
  readonly decoder: StepDecoder;
  readonly prompts: PromptModel;
  readonly slots: number;
  readonly queueLimit: number;
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
  readonly #scheduler: Scheduler<Sequence>;
  readonly #runner: Runner;
  #stepping = false;
  #reportedAtMs = 0;
  #steps: StepReport[] = [];

  constructor(options: EngineLoopOptions) {
    this.#options = options;
    const { decoder, slots, queueLimit } = options;
    this.#scheduler = new Scheduler<Sequence>({ slots, queueLimit });
    this.#runner = new Runner({ decoder, scheduler: this.#scheduler, now: () => performance.now() });
  }

  submit(id: number, wire: WireGenerateRequest): void {
    let delivery: Delivery | undefined;
    try {
      const request = fromWireRequest(wire);
      // Before tokenising: refusing has to stay cheap when there is too much to do.
      if (!this.#scheduler.hasRoomFor(request.prompts.length * request.n)) throw new AppError('overloaded');
      const generation = createGeneration({
        id,
        request,
        model: this.#options.prompts,
        randomSeed: () => randomInt(2 ** 31),
      });
      delivery = this.#runner.submit(generation);
    } catch (error) {
      const failure: Part = { type: 'error', error: AppError.from(error) };
      delivery = { id, parts: [failure], ended: true };
      // What is not the request's fault is a defect here, and the supervisor keeps the end of stderr.
      if (!(error instanceof AppError)) process.stderr.write(`${String(error)}\n`);
    }
    if (delivery !== undefined) this.#deliver([delivery]);
    this.#wake();
  }

  cancel(id: number): void {
    if (this.#runner.cancel(id)) this.#deliver([{ id, parts: [], ended: true }]);
  }

  #wake(): void {
    if (this.#stepping) return;
    this.#stepping = true;
    setImmediate(() => this.#step());
  }

  #step(): void {
    const report = this.#runner.step();
    if (report === undefined) {
      this.#stepping = false;
      this.#report();
      return;
    }
    if (report.deliveries.length > 0) this.#deliver(report.deliveries);
    this.#steps.push(report);
    if (performance.now() - this.#reportedAtMs >= REPORT_INTERVAL_MS) this.#report();
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
    const last = steps.at(-1);
    if (last === undefined) return;
    const decoding = steps.filter((s) => s.batchSize > 0);
    this.#options.send({
      type: 'stepped',
      statistics: {
        batchSize: Math.max(...steps.map((s) => s.batchSize)),
        waiting: this.#runner.waiting,
        decodeMs: decoding.reduce((sum, s) => sum + s.decodeMs, 0) / Math.max(1, decoding.length),
        prefillTokens: steps.reduce((sum, s) => sum + s.prefillTokens, 0),
      },
    });
    this.#steps = [];
    this.#reportedAtMs = performance.now();
  }
}
