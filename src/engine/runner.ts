import { AppError } from '../core/error.ts';
import type { Part } from '../core/part.ts';
import type { Generation } from './generation.ts';
import type { PrefixCache } from './prefix-cache.ts';
import { ReadBack } from './read-back.ts';
import type { Scheduler, StepPlan } from './scheduler.ts';
import type { Sequence } from './sequence.ts';
import { Speculation } from './speculation.ts';
import type { StepBudget } from './step-budget.ts';

/** The decoder as the runner uses it; see kernels/decoder.ts. */
export interface StepDecoder {
  readonly vocabSize: number;
  prefill(
    slot: number,
    tokens: ArrayLike<number>,
    past: number,
    wantLogits: boolean,
  ): Float32Array | undefined;
  decode(firstSlot: number, count: number, tokens: ArrayLike<number>, pasts: ArrayLike<number>): Float32Array;
  move(fromSlot: number, toSlot: number, length: number): void;
}

/** Checks drafts; a decoder whose graph can. */
export interface DraftVerifier {
  /** Tokens checked in one pass. */
  readonly verifyRows: number;
  readonly contextTokens: number;
  verify(tokens: readonly number[], past: number): Float32Array;
}

/** What a request gets from one step. */
export interface Delivery {
  readonly id: number;
  readonly parts: readonly Part[];
  /** Nothing follows. */
  readonly ended: boolean;
}

export interface StepReport {
  readonly deliveries: readonly Delivery[];
  readonly batchSize: number;
  readonly decodeMs: number;
  readonly prefillTokens: number;
  /** Prompt tokens whose KV memory was copied instead of computed. */
  readonly cachedTokens: number;
  /** Tokens guessed and checked, and those among them that were drawn. */
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
}

export interface RunnerOptions {
  readonly decoder: StepDecoder;
  /** Undefined: nothing is guessed. */
  readonly verifier?: DraftVerifier | undefined;
  readonly cache: PrefixCache;
  readonly scheduler: Scheduler<Sequence>;
  /** Told how long things take. */
  readonly budget: StepBudget;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Runs the scheduler's plans on the decoder, one step at a time. */
export class Runner {
  readonly #decoder: StepDecoder;
  readonly #verifier: DraftVerifier | undefined;
  readonly #speculation: Speculation;
  readonly #cache: PrefixCache;
  readonly #readBack: ReadBack;
  readonly #scheduler: Scheduler<Sequence>;
  readonly #budget: StepBudget;
  readonly #now: () => number;
  readonly #generations = new Map<number, Generation>();

  constructor({ decoder, verifier, cache, scheduler, budget, now }: RunnerOptions) {
    this.#decoder = decoder;
    this.#verifier = verifier;
    this.#speculation = new Speculation((verifier?.verifyRows ?? 1) - 1);
    this.#cache = cache;
    this.#readBack = new ReadBack(decoder, cache, Math.min(1, scheduler.slots - 1));
    this.#scheduler = scheduler;
    this.#budget = budget;
    this.#now = now;
  }

  get requests(): number {
    return this.#generations.size;
  }

  get waiting(): number {
    return this.#scheduler.waiting;
  }

  /** Queues a request. @returns What it gives without any step. */
  submit(generation: Generation): Delivery | undefined {
    if (generation.done) return { id: generation.id, parts: generation.deliver([]), ended: true };
    this.#generations.set(generation.id, generation);
    for (const sequence of generation.sequences) this.#scheduler.add(sequence);
    return undefined;
  }

  /** False: there is no such request any more. */
  cancel(id: number): boolean {
    this.#generations.get(id)?.cancel();
    return this.#generations.delete(id);
  }

  /** Undefined when there is nothing to do. */
  step(): StepReport | undefined {
    const plan = this.#scheduler.plan();
    if (plan === undefined) return this.#stepIdle();
    const parts = new Map<number, Part[]>();
    const failed = new Map<number, AppError>();
    const accept = (sequence: Sequence, logits: Float32Array): void => {
      if (failed.has(sequence.request)) return;
      try {
        const given = sequence.accept(logits);
        if (sequence.done) this.#readBack.add(sequence.prompt, sequence.output, sequence.cacheSalt);
        const before = parts.get(sequence.request);
        if (before === undefined) parts.set(sequence.request, given);
        else before.push(...given);
      } catch (error) {
        // Such as a request whose rules leave no token to draw: its own end, not the engine's.
        failed.set(sequence.request, new AppError('internal_error', { cause: error }));
      }
    };

    for (const { from, to, length } of plan.moves) this.#copy(from, to, length);
    let cachedTokens = 0;
    // Before anything is kept, since that may evict what the plan counts on.
    for (const { sequence, slot, length } of plan.restores) {
      this.#cache.restore(sequence.prompt, length, slot, sequence.cacheSalt);
      sequence.cachedTokens = length;
      cachedTokens += length;
    }
    const startedAtMs = this.#now();
    const count = plan.decode.length;
    const draft = this.#draft(plan);
    let acceptedTokens = 0;
    if (draft !== undefined) {
      const { sequence, past } = plan.decode[0]!;
      const rows = this.#verifier!.verify([sequence.lastToken, ...draft], past);
      const size = this.#decoder.vocabSize;
      // A row counts if the token before it is the one that was drawn: then it has the logits of a step.
      for (let row = 0; row <= draft.length; row++) {
        accept(sequence, rows.subarray(row * size, (row + 1) * size));
        if (failed.has(sequence.request) || sequence.lastToken !== draft[row]) break;
        acceptedTokens++;
        if (sequence.done) break;
      }
      this.#scheduler.advance(acceptedTokens);
    } else if (count > 0) {
      const rows = this.#decoder.decode(
        0,
        count,
        plan.decode.map((d) => d.sequence.lastToken),
        plan.decode.map((d) => d.past),
      );
      const size = this.#decoder.vocabSize;
      for (const [i, { sequence }] of plan.decode.entries())
        accept(sequence, rows.subarray(i * size, (i + 1) * size));
    }
    const decodeMs = this.#now() - startedAtMs;
    if (draft !== undefined) this.#speculation.checked(acceptedTokens, decodeMs);
    else if (count > 0) this.#budget.decoded(decodeMs);
    if (draft === undefined && count === 1) this.#speculation.stepped(decodeMs);
    let prefillTokens = 0;
    for (const { sequence, slot, from, to, last, forks } of plan.prefill) {
      const chunkStartedAtMs = this.#now();
      if (from === 0) this.#cache.vacate(slot);
      const logits = this.#decoder.prefill(slot, sequence.prompt.slice(from, to), from, last);
      prefillTokens += to - from;
      this.#cache.keep(sequence.prompt, to, slot, sequence.cacheSalt);
      this.#budget.prefilled(to - from, this.#now() - chunkStartedAtMs);
      if (logits === undefined) continue;
      accept(sequence, logits);
      for (const fork of forks) {
        this.#copy(slot, fork.slot, to);
        cachedTokens += to;
        accept(fork.sequence, logits);
      }
    }
    return {
      deliveries: [
        ...[...failed].map(([id, error]) => this.#fail(id, error)),
        ...[...parts].flatMap(([id, given]) => this.#deliver(id, given)),
      ],
      batchSize: count,
      decodeMs,
      prefillTokens,
      cachedTokens,
      draftedTokens: draft?.length ?? 0,
      acceptedTokens,
    };
  }

  /** Guessed tokens of the one sequence that this step is for. */
  #draft({ decode, prefill }: StepPlan<Sequence>): readonly number[] | undefined {
    const [alone] = decode;
    const verifier = this.#verifier;
    if (verifier === undefined || alone === undefined || decode.length > 1 || prefill.length > 0)
      return undefined;
    if (alone.past + verifier.verifyRows > verifier.contextTokens) return undefined;
    return this.#speculation.propose(alone.sequence);
  }

  #stepIdle(): StepReport | undefined {
    const prefillTokens = this.#readBack.step();
    if (prefillTokens === 0) return undefined;
    return {
      deliveries: [],
      batchSize: 0,
      decodeMs: 0,
      prefillTokens,
      cachedTokens: 0,
      draftedTokens: 0,
      acceptedTokens: 0,
    };
  }

  #copy(fromSlot: number, toSlot: number, length: number): void {
    this.#decoder.move(fromSlot, toSlot, length);
    this.#cache.moved(fromSlot, toSlot, length);
  }

  #fail(id: number, error: AppError): Delivery {
    this.cancel(id);
    return { id, parts: [{ type: 'error', error }], ended: true };
  }

  #deliver(id: number, parts: readonly Part[]): Delivery[] {
    const generation = this.#generations.get(id);
    if (generation === undefined) return [];
    const delivered = generation.deliver(parts);
    const ended = generation.done;
    if (ended) this.#generations.delete(id);
    return [{ id, parts: delivered, ended }];
  }
}
