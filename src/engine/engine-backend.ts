import { abortError } from '../core/abort-error.ts';
import type { Backend, BackendHealth, RunOptions } from '../core/backend.ts';
import { AppError } from '../core/error.ts';
import type { Emit } from '../core/event.ts';
import type { PartSource } from '../core/part-source.ts';
import { choiceCount, type GenerateRequest, type Requirement } from '../core/request.ts';
import type { SamplingDefaults } from '../core/sampling.ts';
import { type Clock, SYSTEM_CLOCK } from '../model-process/clock.ts';
import { FrameError } from '../model-process/frame.ts';
import type { SpawnModelProcess } from '../model-process/model-process.ts';
import type { SupervisorProtocol } from '../model-process/protocol.ts';
import { type ProviderChoice, providerWish, spawnFor } from '../model-process/provider-choice.ts';
import { Supervisor } from '../model-process/supervisor.ts';
import { DEFAULT_TIMES, type SupervisorTimes } from '../model-process/supervisor-options.ts';
import { EngineRun } from './engine-run.ts';
import {
  type EngineInfo,
  type FromEngine,
  fromWirePart,
  type LoadOptions,
  type ToEngine,
  toWireRequest,
  type WireDelivery,
} from './messages.ts';

const DEFAULT_SLOTS = 16;
const DEFAULT_QUEUE_LIMIT = 256;
const DEFAULT_PREFIX_CACHE_BYTES = 512 * 2 ** 20;

/** Requests that the process has not even read; more than this means that it hangs. */
const MOST_UNREAD_BYTES = 64 * 2 ** 20;

/** The program is TypeScript or JavaScript, as this file is. */
const PROGRAM = import.meta.url.endsWith('.ts')
  ? new URL('./engine-process.ts', import.meta.url)
  : new URL('./engine-process.js', import.meta.url);

interface EngineProtocol extends SupervisorProtocol {
  readonly load: LoadOptions;
  readonly info: EngineInfo;
  readonly to: ToEngine;
  readonly from: FromEngine;
}

export type SpawnEngine = SpawnModelProcess<ToEngine, FromEngine>;

export interface EngineBackendOptions extends ProviderChoice {
  readonly name: string;
  /** A GGUF file. */
  readonly modelPath: string;
  /** Where the graph built from it is kept. */
  readonly cacheDir: string;
  /** Used where `cacheDir` must not be written to. */
  readonly fallbackCacheDir?: string;
  /** Default: as many as the machine runs at once, at most 8. */
  readonly threads?: number;
  /** Sequences decoded together; default 16. */
  readonly slots?: number;
  /** Longest prompt + output; default and at most what the model allows, up to 2048. */
  readonly contextTokens?: number;
  /** Sequences that may wait for a slot; default 256. */
  readonly queueLimit?: number;
  /** Most memory for the KV of prompts that were computed; default 512 MiB, 0 is none. */
  readonly prefixCacheBytes?: number;
  /** Threads wait busily: faster, but burns the cores. Default true. */
  readonly spinning?: boolean;
  /** Guess tokens of a sequence that decodes alone, and check several in one pass; the text is the same. Default true. */
  readonly speculation?: boolean;
  /** The process is killed when it takes more; default: it may take what it wants. */
  readonly memoryLimitBytes?: () => number;
  /** Used where a request does not say; what the model's authors recommend. */
  readonly sampling?: Partial<SamplingDefaults>;
  readonly emit: Emit;
  readonly clock?: Clock;
  readonly times?: Partial<SupervisorTimes>;
  /** How the process is started; tests bring their own program. */
  readonly spawn?: SpawnEngine;
}

export interface EngineBackend extends Backend {
  /** Resolves when the model is first loaded; rejects when that failed. Need not be awaited. */
  readonly ready: Promise<void>;
  /** Of the process that was last ready. */
  info(): EngineInfo | undefined;
  /** Of the process that runs now, if one does. */
  readonly pid: number | undefined;
  /** Of the clock; undefined while it is not ready. */
  readonly readySinceMs: number | undefined;
}

/** A local model in a process of its own, started at once and kept running until `close`. */
export function createEngineBackend(options: EngineBackendOptions): EngineBackend {
  return new LocalEngine(options);
}

class LocalEngine implements EngineBackend {
  readonly kind = 'engine';
  readonly name: string;
  readonly ready: Promise<void>;
  readonly #emit: Emit;
  readonly #clock: Clock;
  readonly #sampling: Partial<SamplingDefaults>;
  readonly #slots: number;
  readonly #queueLimit: number;
  readonly #supervisor: Supervisor<EngineProtocol>;
  readonly #runs = new Map<number, EngineRun>();
  #nextId = 1;
  /** Of recent replies; the basis of Retry-After. */
  #meanRunMs = 1_000;

  constructor(options: EngineBackendOptions) {
    this.name = options.name;
    this.#emit = options.emit;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#sampling = options.sampling ?? {};
    this.#slots = options.slots ?? DEFAULT_SLOTS;
    this.#queueLimit = options.queueLimit ?? DEFAULT_QUEUE_LIMIT;
    this.#supervisor = new Supervisor<EngineProtocol>({
      name: options.name,
      load: {
        modelPath: options.modelPath,
        cacheDir: options.cacheDir,
        ...(options.fallbackCacheDir === undefined ? {} : { fallbackCacheDir: options.fallbackCacheDir }),
        slots: this.#slots,
        queueLimit: this.#queueLimit,
        prefixCacheBytes: options.prefixCacheBytes ?? DEFAULT_PREFIX_CACHE_BYTES,
        spinning: options.spinning ?? true,
        speculation: options.speculation ?? true,
        ...providerWish(options),
        ...(options.threads === undefined ? {} : { threads: options.threads }),
        ...(options.contextTokens === undefined ? {} : { contextTokens: options.contextTokens }),
      },
      spawn: spawnFor(options, PROGRAM),
      emit: options.emit,
      clock: this.#clock,
      times: { ...DEFAULT_TIMES, ...options.times },
      memoryLimitBytes: options.memoryLimitBytes,
      onMessage: (message) => this.#receive(message),
      onLost: () => this.#lost(),
    });
    this.ready = this.#supervisor.ready;
  }

  info(): EngineInfo | undefined {
    return this.#supervisor.info;
  }

  get pid(): number | undefined {
    return this.#supervisor.pid;
  }

  get readySinceMs(): number | undefined {
    return this.#supervisor.readySinceMs;
  }

  async run(request: GenerateRequest, { signal }: RunOptions): Promise<PartSource> {
    if (signal.aborted) throw abortError(signal);
    const choices = choiceCount(request);
    this.#admit(choices);

    const id = this.#nextId++;
    const run = new EngineRun({ choices, cancel: () => this.#supervisor.send({ type: 'cancel', id }) });
    try {
      this.#supervisor.send({ type: 'submit', id, request: toWireRequest(request, this.#sampling) });
    } catch (error) {
      throw error instanceof FrameError ? new AppError('body_too_large', { cause: error }) : error;
    }
    this.#runs.set(id, run);
    const startedAtMs = this.#clock.now();
    const onAbort = (): void => run.abort(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    run.over.then(() => {
      signal.removeEventListener('abort', onAbort);
      this.#meanRunMs += (this.#clock.now() - startedAtMs - this.#meanRunMs) / 8;
    });
    return run.begun;
  }

  /** All of it happens before anything is awaited: the answer to too much work is immediate. */
  #admit(choices: number): void {
    const supervisor = this.#supervisor;
    if (supervisor.closing) throw new AppError('shutting_down');
    if (supervisor.state !== 'ready')
      throw new AppError('model_unavailable', {
        retryAfterMs: supervisor.retryAfterMs,
        cause: new Error(`Engine ${this.name} is ${supervisor.state}: ${supervisor.detail}`),
      });
    const room = this.#slots + this.#queueLimit;
    if (choices > room)
      throw new AppError('invalid_value', {
        message: `The request asks for ${choices} choices at once; this model takes at most ${room}.`,
        param: 'n',
      });
    let open = 0;
    for (const run of this.#runs.values()) open += run.openChoices;
    if (open + choices <= room && supervisor.unreadBytes <= MOST_UNREAD_BYTES) return;
    const turnsMs = (Math.max(0, open - this.#slots) / this.#slots) * this.#meanRunMs;
    throw new AppError('overloaded', { retryAfterMs: Math.ceil(Math.min(30_000, Math.max(1_000, turnsMs))) });
  }

  lacks(request: GenerateRequest): Requirement | undefined {
    return engineLacks(request);
  }

  health(): BackendHealth {
    const { state, detail, retryAfterMs } = this.#supervisor;
    let queued = 0;
    for (const run of this.#runs.values()) if (run.waiting) queued++;
    return {
      state,
      detail,
      inFlight: this.#runs.size,
      queued,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }

  async close(): Promise<void> {
    const closed = this.#supervisor.close();
    for (const run of this.#runs.values()) run.fail(new AppError('shutting_down'));
    await closed;
  }

  #receive(message: FromEngine): void {
    if (message.type === 'parts') for (const delivery of message.deliveries) this.#deliver(delivery);
    else if (message.type === 'stepped')
      this.#emit({ type: 'engine-stepped', engine: this.name, ...message.statistics });
  }

  #deliver({ id, parts, ended }: WireDelivery): void {
    const run = this.#runs.get(id);
    if (run === undefined) return;
    run.deliver(parts.map(fromWirePart));
    if (!ended) return;
    this.#runs.delete(id);
    run.end();
  }

  #lost(): void {
    const runs = [...this.#runs.values()];
    this.#runs.clear();
    if (runs.length === 0) return;
    const error = new AppError('model_unavailable', {
      retryAfterMs: this.#supervisor.retryAfterMs,
      cause: new Error(`Engine ${this.name} ended while the request ran.`),
    });
    for (const run of runs) run.fail(error);
  }
}

/** The first requirement that no local engine can meet, whichever model it has. */
export function engineLacks({ requirements, structure }: GenerateRequest): Requirement | undefined {
  return requirements.find(
    ({ capability }) =>
      capability !== 'tools' && (capability !== 'structured-output' || structure === undefined),
  );
}
