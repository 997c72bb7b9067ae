/** What the scheduler has to know of a sequence. */
export interface Schedulable {
  /** Tokens to be prefilled, at least 1. */
  readonly promptLength: number;
  /** Sequences that share this object have the same prompt. */
  readonly prompt: object;
  /** Finished or cancelled: it takes no further step. Turns true between steps. */
  readonly done: boolean;
}

export interface SlotMove {
  readonly from: number;
  readonly to: number;
  /** KV positions to copy. */
  readonly length: number;
}

/** A prompt that begins like an earlier one: its first `length` positions are copied into its slot. */
export interface Restore<S> {
  readonly sequence: S;
  readonly slot: number;
  readonly length: number;
}

export interface PrefillChunk<S> {
  readonly sequence: S;
  readonly slot: number;
  /** Prompt tokens [from, to). */
  readonly from: number;
  readonly to: number;
  /** The prompt ends here: the logits give the sequence's first token. */
  readonly last: boolean;
  /** With the last chunk: sequences of the same prompt, which get a copy of its KV memory and the same logits. */
  readonly forks: readonly { readonly sequence: S; readonly slot: number }[];
}

/** One step: first the moves in order, then the restores, then the decode batch, then the chunks in order. */
export interface StepPlan<S> {
  readonly moves: readonly SlotMove[];
  readonly restores: readonly Restore<S>[];
  /** Element i decodes in slot i, on top of `past` KV positions. */
  readonly decode: readonly { readonly sequence: S; readonly past: number }[];
  readonly prefill: readonly PrefillChunk<S>[];
}

export interface SchedulerOptions<S> {
  readonly slots: number;
  /** Sequences that may wait for a slot. */
  readonly queueLimit: number;
  /**
   * Prompt tokens per step while something decodes, asked in every step: it bounds the gap between two tokens.
   * `waiting`: sequences without a slot.
   */
  readonly busyChunkTokens?: (waiting: number) => number;
  /** Prompt tokens per step while nothing decodes. */
  readonly idleChunkTokens?: number;
  /** Positions of its prompt that can be restored instead of computed, fewer than it has; asked when it gets a slot. */
  readonly restorable?: (sequence: S) => number;
}

/** A chunk of fewer tokens takes nearly as long as one of this many, so none is begun behind another chunk. */
const SMALL_CHUNK_TOKENS = 24;
/** A prompt's last tokens are not left for the next step if they exceed the room by no more than this share. */
const MORE_AT_END = 1 / 4;

interface Running<S> {
  readonly sequence: S;
  /** KV positions filled once the current plan has run. */
  length: number;
}

/**
 * Decides what each step computes. Pure: it neither runs the model nor looks at a clock.
 *
 *     waiting (FIFO) ──▶ prefilling (at most one, by chunks) ──▶ decoding ──▶ done
 *                        slot ≥ number decoding                  slots 0 … d-1
 *
 * Invariants:
 * - The decoding sequences fill slots 0 … d-1 without a hole: a batch is one contiguous range of KV memory. When one
 *   ends, the last one is copied into its slot.
 * - Every decoding sequence decodes in every step, and the step prefills at most `busyChunkTokens` and the few last
 *   ones of a prompt: nobody waits for another's prompt for longer than that.
 * - Every step makes progress on the oldest prompt, as long as a slot is free.
 * - Sequences of one prompt that wait one behind the other share its computation, as far as there are slots.
 * - A sequence that is done holds no slot from the next plan on.
 */
export class Scheduler<S extends Schedulable> {
  readonly slots: number;
  readonly #queueLimit: number;
  readonly #busyChunkTokens: (waiting: number) => number;
  readonly #idleChunkTokens: number;
  readonly #restorable: (sequence: S) => number;
  #waiting: S[] = [];
  #prefilling: (Running<S> & { slot: number }) | undefined;
  readonly #decoding: Running<S>[] = [];

  constructor(options: SchedulerOptions<S>) {
    this.slots = options.slots;
    this.#queueLimit = options.queueLimit;
    this.#busyChunkTokens = options.busyChunkTokens ?? (() => 64);
    this.#idleChunkTokens = options.idleChunkTokens ?? 256;
    this.#restorable = options.restorable ?? (() => 0);
  }

  /** Sequences that have no slot yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Sequences that have a slot. */
  get running(): number {
    return this.#decoding.length + (this.#prefilling === undefined ? 0 : 1);
  }

  /** Whether this many more sequences would be accepted. */
  hasRoomFor(count: number): boolean {
    const freeSlots = this.slots - this.running;
    return this.#waiting.length + count <= this.#queueLimit + freeSlots;
  }

  add(sequence: S): void {
    this.#waiting.push(sequence);
  }

  /** The next step, which the caller then runs as a whole; undefined when there is nothing to do. */
  plan(): StepPlan<S> | undefined {
    const moves: SlotMove[] = [];
    this.#release(moves);
    const decode = this.#decoding.map((running) => ({ sequence: running.sequence, past: running.length++ }));
    const restores: Restore<S>[] = [];
    const prefill = this.#fill(moves, restores);
    return decode.length === 0 && prefill.length === 0 ? undefined : { moves, restores, decode, prefill };
  }

  /** The sequence in slot 0 has filled this many more KV positions than the plan said. */
  advance(positions: number): void {
    this.#decoding[0]!.length += positions;
  }

  #release(moves: SlotMove[]): void {
    this.#waiting = this.#waiting.filter((sequence) => !sequence.done);
    if (this.#prefilling?.sequence.done) this.#prefilling = undefined;
    // From the end, so that what moves into a hole is always alive.
    for (let slot = this.#decoding.length - 1; slot >= 0; slot--) {
      if (!this.#decoding[slot]!.sequence.done) continue;
      const last = this.#decoding.pop()!;
      if (slot === this.#decoding.length) continue;
      moves.push({ from: this.#decoding.length, to: slot, length: last.length });
      this.#decoding[slot] = last;
    }
  }

  #fill(moves: SlotMove[], restores: Restore<S>[]): PrefillChunk<S>[] {
    const chunks: PrefillChunk<S>[] = [];
    const busyChunkTokens = this.#busyChunkTokens(this.#waiting.length);
    let spent = 0;
    for (;;) {
      // A prompt that ended in this step counts as decoding: its first token is not held up by the prompts behind it.
      const budget = (this.#decoding.length > 0 ? busyChunkTokens : this.#idleChunkTokens) - spent;
      const worthwhile = budget >= (chunks.length === 0 ? 1 : SMALL_CHUNK_TOKENS);
      const current = worthwhile ? (this.#prefilling ?? this.#admit(restores)) : undefined;
      if (current === undefined) return chunks;
      const { promptLength } = current.sequence;
      const from = current.length;
      const last = promptLength - from <= budget * (1 + MORE_AT_END);
      const to = last ? promptLength : from + budget;
      if (last && current.slot !== this.#decoding.length) {
        // Others ended while it was prefilled; it joins the batch behind those that are left.
        moves.push({ from: current.slot, to: this.#decoding.length, length: from });
        current.slot = this.#decoding.length;
      }
      spent += to - from;
      current.length = to;
      this.#prefilling = last ? undefined : current;
      if (last) this.#decoding.push(current);
      const forks = last ? this.#fork(current) : [];
      chunks.push({ sequence: current.sequence, slot: current.slot, from, to, last, forks });
    }
  }

  #admit(restores: Restore<S>[]): (Running<S> & { slot: number }) | undefined {
    if (this.#decoding.length >= this.slots) return undefined;
    const sequence = this.#waiting.shift();
    if (sequence === undefined) return undefined;
    const slot = this.#decoding.length;
    const length = this.#restorable(sequence);
    if (length > 0) restores.push({ sequence, slot, length });
    return { sequence, length, slot };
  }

  #fork({ sequence: { prompt }, length }: Running<S>): { sequence: S; slot: number }[] {
    const forks: { sequence: S; slot: number }[] = [];
    while (this.#decoding.length < this.slots && this.#waiting[0]?.prompt === prompt) {
      const sequence = this.#waiting.shift()!;
      forks.push({ sequence, slot: this.#decoding.length });
      this.#decoding.push({ sequence, length });
    }
    return forks;
  }
}
