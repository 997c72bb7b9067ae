import { KvCache } from './kv-cache.ts';
import { seededRandom } from './random.ts';
import { BLOCK_TOKENS, type TraceRequest } from './trace.ts';

/** A machine and how vLLM was started on it. */
export interface EngineSettings {
  /** Of every step: weights are read once. */
  readonly stepMs: number;
  readonly prefillMsPerToken: number;
  /** Attention of a new token to one before it. */
  readonly prefillMsPerPair: number;
  readonly decodeMsPerSequence: number;
  readonly decodeMsPerKvToken: number;
  /** Tokens of one step, decoding included (`max_num_batched_tokens`). */
  readonly stepTokens: number;
  /** `max_num_seqs` */
  readonly maxSequences: number;
  readonly kvTokens: number;
  /** Which blocks go when there is no room. Default: those that were not used for longest. */
  readonly eviction?: 'lru' | 'random';
}

/** A 70B model in 8 bits on four 80 GB accelerators, about: 16,000 tokens/s of prefill at most. */
export const LARGE: EngineSettings = {
  stepMs: 10,
  prefillMsPerToken: 0.06,
  prefillMsPerPair: 1e-6,
  decodeMsPerSequence: 0.1,
  decodeMsPerKvToken: 1.25e-5,
  stepTokens: 2_048,
  maxSequences: 256,
  kvTokens: 1_000_000,
};

/** The same on machines half as fast. */
export const LARGE_SLOW: EngineSettings = {
  ...LARGE,
  stepMs: 20,
  prefillMsPerToken: 0.12,
  prefillMsPerPair: 2e-6,
};

/** A model of some 8B on one smaller accelerator: 8,000 tokens/s of prefill at most. */
export const SMALL: EngineSettings = {
  stepMs: 12,
  prefillMsPerToken: 0.12,
  prefillMsPerPair: 1e-6,
  decodeMsPerSequence: 0.1,
  decodeMsPerKvToken: 2.5e-5,
  stepTokens: 2_048,
  maxSequences: 256,
  kvTokens: 100_000,
};

export interface Sequence {
  readonly request: TraceRequest;
  /** Blocks of the prompt that it holds in shared memory. */
  shared: number;
  privateTokens: number;
  /** Tokens whose KV is there. */
  computed: number;
  /** Tokens to compute before the next one can be drawn: the prompt, after a preemption with what was drawn already. */
  toCompute: number;
  drawn: number;
  cachedTokens: number;
}

export interface EngineEvents {
  firstToken(sequence: Sequence, nowMs: number): void;
  finished(sequence: Sequence, nowMs: number): void;
}

interface Chunk {
  readonly sequence: Sequence;
  readonly tokens: number;
}

/**
 * One vLLM engine in simulated time. Each step every decoding sequence draws a token, and what is left of the step's tokens
 * is spent on prompts in order of arrival (chunked prefill). Steps that only decode are taken together.
 */
export class Engine {
  /** 2: everything takes twice as long. */
  slowness = 1;
  /** When the steps under way are done. */
  nextMs = Number.POSITIVE_INFINITY;
  busyMs = 0;
  readonly #settings: EngineSettings;
  readonly #events: EngineEvents;
  readonly #random = seededRandom(1);
  #cache: KvCache;
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  #chunks: Chunk[] = [];
  #startedMs = 0;
  #eachMs = 0;
  #steps = 0;

  constructor(settings: EngineSettings, events: EngineEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#cache = this.#newCache();
  }

  get load(): { readonly waiting: number; readonly running: number; readonly kvUsage: number } {
    return { waiting: this.#waiting.length, running: this.#running.length, kvUsage: this.#cache.usage };
  }

  cachedBlocks(request: TraceRequest): number {
    return this.#cache.match(request.blockIds);
  }

  submit(request: TraceRequest, nowMs: number): Sequence {
    const sequence: Sequence = {
      request,
      shared: 0,
      privateTokens: 0,
      computed: 0,
      toCompute: request.promptTokens,
      drawn: 0,
      cachedTokens: 0,
    };
    this.#waiting.push(sequence);
    if (this.nextMs === Number.POSITIVE_INFINITY) this.#begin(nowMs);
    else if (this.#steps > 1) this.#cutShort(nowMs);
    return sequence;
  }

  /** Ends the steps under way at `nextMs`. */
  advance(): void {
    const nowMs = this.nextMs;
    this.busyMs += nowMs - this.#startedMs;
    const decoding = this.#running.filter((sequence) => sequence.computed >= sequence.toCompute);
    for (const sequence of decoding) {
      sequence.drawn += this.#steps;
      sequence.computed += this.#steps;
      sequence.toCompute += this.#steps;
    }
    for (const { sequence, tokens } of this.#chunks) this.#compute(sequence, tokens, nowMs);
    for (const sequence of [...this.#running]) {
      if (sequence.drawn < sequence.request.outputTokens) continue;
      this.#release(sequence);
      this.#events.finished(sequence, nowMs);
    }
    this.#begin(nowMs);
  }

  /** Nothing moves for a while. */
  hang(ms: number): void {
    if (this.nextMs === Number.POSITIVE_INFINITY) return;
    this.nextMs += ms;
    this.#startedMs += ms;
  }

  /** @returns What was lost. */
  crash(): Sequence[] {
    const lost = [...this.#running, ...this.#waiting];
    this.#cache = this.#newCache();
    this.#waiting = [];
    this.#running = [];
    this.#chunks = [];
    this.nextMs = Number.POSITIVE_INFINITY;
    return lost;
  }

  #newCache(): KvCache {
    const { kvTokens, eviction } = this.#settings;
    return new KvCache(kvTokens, eviction === 'random' ? this.#random : undefined);
  }

  #begin(nowMs: number): void {
    const { stepMs, decodeMsPerSequence, decodeMsPerKvToken, stepTokens } = this.#settings;
    this.#makeRoom();
    let budget = stepTokens;
    let ms = stepMs;
    let fewestLeft = Number.POSITIVE_INFINITY;
    for (const { computed, toCompute, drawn, request, shared, privateTokens } of this.#running) {
      if (computed < toCompute) continue;
      budget -= 1;
      ms += decodeMsPerSequence + decodeMsPerKvToken * computed;
      const room = shared * BLOCK_TOKENS + privateTokens - computed;
      fewestLeft = Math.min(fewestLeft, request.outputTokens - drawn, room);
    }
    this.#chunks = [];
    for (const sequence of this.#running) {
      if (sequence.computed >= sequence.toCompute || budget <= 0) continue;
      budget -= this.#plan(sequence, budget);
    }
    while (budget > 0 && this.#admit()) budget -= this.#plan(this.#running.at(-1)!, budget);
    for (const { sequence, tokens } of this.#chunks) ms += this.#chunkMs(sequence, tokens);
    if (this.#running.length === 0) {
      this.nextMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.#steps = this.#chunks.length > 0 ? 1 : Math.max(1, fewestLeft);
    this.#startedMs = nowMs;
    this.#eachMs = ms * this.slowness;
    this.nextMs = nowMs + this.#eachMs * this.#steps;
  }

  /** Somebody came: the steps that have not begun wait for the next plan. */
  #cutShort(nowMs: number): void {
    const begun = Math.ceil((nowMs - this.#startedMs) / this.#eachMs);
    this.#steps = Math.min(this.#steps, Math.max(1, begun));
    this.nextMs = this.#startedMs + this.#steps * this.#eachMs;
  }

  #plan(sequence: Sequence, budget: number): number {
    const tokens = Math.min(budget, sequence.toCompute - sequence.computed);
    this.#chunks.push({ sequence, tokens });
    return tokens;
  }

  #chunkMs({ computed }: Sequence, tokens: number): number {
    const { prefillMsPerToken, prefillMsPerPair } = this.#settings;
    return prefillMsPerToken * tokens + prefillMsPerPair * tokens * (computed + tokens / 2);
  }

  #compute(sequence: Sequence, tokens: number, nowMs: number): void {
    const { blockIds } = sequence.request;
    sequence.computed += tokens;
    while (sequence.shared < blockIds.length && (sequence.shared + 1) * BLOCK_TOKENS <= sequence.computed) {
      this.#cache.use(blockIds[sequence.shared]!);
      this.#cache.givePrivate(BLOCK_TOKENS);
      sequence.privateTokens -= BLOCK_TOKENS;
      sequence.shared += 1;
    }
    if (sequence.computed < sequence.toCompute) return;
    sequence.drawn += 1;
    sequence.toCompute += 1;
    sequence.computed += 1;
    if (sequence.drawn === 1) this.#events.firstToken(sequence, nowMs);
  }

  #admit(): boolean {
    const [sequence] = this.#waiting;
    if (sequence === undefined || this.#running.length >= this.#settings.maxSequences) return false;
    const { blockIds, promptTokens } = sequence.request;
    // The last token is computed whatever is cached: its logits begin the reply.
    const matched = Math.min(this.#cache.match(blockIds), Math.floor((promptTokens - 1) / BLOCK_TOKENS));
    const held = blockIds.slice(0, matched);
    for (const id of held) this.#cache.use(id);
    const needed = sequence.toCompute - matched * BLOCK_TOKENS;
    if (!this.#cache.takePrivate(needed)) {
      this.#cache.release(held);
      if (this.#running.length > 0) return false;
      throw new Error(`a prompt of ${promptTokens} tokens does not fit`);
    }
    this.#waiting.shift();
    sequence.shared = matched;
    sequence.privateTokens = needed;
    sequence.computed = matched * BLOCK_TOKENS;
    if (sequence.drawn === 0) sequence.cachedTokens = sequence.computed;
    this.#running.push(sequence);
    return true;
  }

  /** For the next token of every decoding sequence; the youngest gives way when there is none. */
  #makeRoom(): void {
    for (const sequence of [...this.#running]) {
      const total = sequence.shared * BLOCK_TOKENS + sequence.privateTokens;
      if (sequence.computed + 1 <= total || !this.#running.includes(sequence)) continue;
      const left = sequence.request.outputTokens - sequence.drawn;
      const grow = Math.min(BLOCK_TOKENS, left) + sequence.computed - total;
      while (!this.#cache.takePrivate(grow)) {
        const youngest = this.#running.at(-1)!;
        this.#preempt(youngest);
        if (youngest === sequence) break;
      }
      if (this.#running.includes(sequence)) sequence.privateTokens += grow;
    }
  }

  #preempt(sequence: Sequence): void {
    this.#release(sequence);
    sequence.toCompute = sequence.request.promptTokens + sequence.drawn;
    sequence.computed = 0;
    this.#waiting.unshift(sequence);
  }

  #release(sequence: Sequence): void {
    this.#running.splice(this.#running.indexOf(sequence), 1);
    this.#cache.givePrivate(sequence.privateTokens);
    this.#cache.release(sequence.request.blockIds.slice(0, sequence.shared));
    sequence.privateTokens = 0;
    sequence.shared = 0;
  }
}
