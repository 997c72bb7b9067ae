import { dirname, resolve } from 'node:path';
import { abortError } from '../core/abort-error.ts';
import type { BackendHealth } from '../core/backend.ts';
import {
  type Classifications,
  type ClassifyRequest,
  type Embeddings,
  type EmbedRequest,
  type EncodeOptions,
  type EncodeRequest,
  type EncoderTask,
  type RerankRequest,
  type RerankScores,
  TASK_OF,
} from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import type { Emit } from '../core/event.ts';
import { type Clock, SYSTEM_CLOCK } from '../model-process/clock.ts';
import { FrameError } from '../model-process/frame.ts';
import type { SupervisorProtocol } from '../model-process/protocol.ts';
import { providerWish, spawnFor } from '../model-process/provider-choice.ts';
import { Supervisor } from '../model-process/supervisor.ts';
import { DEFAULT_TIMES } from '../model-process/supervisor-options.ts';
import type { LocalEncoder, LocalEncoderOptions } from './local-encoder-options.ts';
import {
  type BatchStatistics,
  type EncoderInfo,
  type EncoderLoadOptions,
  type FromEncoder,
  fromWireError,
  type ToEncoder,
  unpackRows,
  type WireOutcome,
} from './messages.ts';
import { sigmoid, softmax } from './readout.ts';

const DEFAULT_QUEUE_LIMIT = 256;
const DEFAULT_BATCH_TOKENS = 4096;

/** Inputs of all requests together; the largest request has 2,048. */
const MOST_OPEN_INPUTS = 16_384;

/** Requests that the process has not even read; more than this means that it hangs. */
const MOST_UNREAD_BYTES = 64 * 2 ** 20;

/** The program is TypeScript or JavaScript, as this file is. */
const PROGRAM = import.meta.url.endsWith('.ts')
  ? new URL('./encoder-process.ts', import.meta.url)
  : new URL('./encoder-process.js', import.meta.url);

interface EncoderProtocol extends SupervisorProtocol {
  readonly load: EncoderLoadOptions;
  readonly info: EncoderInfo;
  readonly to: ToEncoder;
  readonly from: FromEncoder;
}

/** A local encoder model in a process of its own, started at once and kept running until `close`. */
export function createLocalEncoder(options: LocalEncoderOptions): LocalEncoder {
  return new SupervisedEncoder(options);
}

interface Rows {
  readonly rows: readonly Float32Array[];
  readonly promptTokens: number;
}

interface OpenRequest {
  readonly inputs: number;
  /** Those that have come. */
  readonly rows: Float32Array[];
  readonly startedAtMs: number;
  readonly resolve: (rows: Rows) => void;
  readonly reject: (error: AppError) => void;
}

class SupervisedEncoder implements LocalEncoder {
  readonly kind = 'encoder';
  readonly name: string;
  readonly ready: Promise<void>;
  readonly #emit: Emit;
  readonly #clock: Clock;
  readonly #queueLimit: number;
  readonly #configuredTask: EncoderTask | undefined;
  readonly #supervisor: Supervisor<EncoderProtocol>;
  readonly #open = new Map<number, OpenRequest>();
  #openInputs = 0;
  /** As of the last batch. */
  #waiting = 0;
  #nextId = 1;
  /** Of recent requests; the basis of Retry-After. */
  #meanRunMs = 200;

  constructor(options: LocalEncoderOptions) {
    const { name, directory, task, threads, contextTokens } = options;
    this.name = name;
    this.#emit = options.emit;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#queueLimit = options.queueLimit ?? DEFAULT_QUEUE_LIMIT;
    this.#configuredTask = task;
    this.#supervisor = new Supervisor<EncoderProtocol>({
      name,
      load: {
        directory,
        batchTokens: options.batchTokens ?? DEFAULT_BATCH_TOKENS,
        cacheDirs: [dirname(resolve(directory)), options.fallbackCacheDir].filter((dir) => dir !== undefined),
        integers: options.integers ?? true,
        spinning: options.spinning ?? false,
        ...providerWish(options),
        ...(task === undefined ? {} : { task }),
        ...(threads === undefined ? {} : { threads }),
        ...(contextTokens === undefined ? {} : { contextTokens }),
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

  get task(): EncoderTask | undefined {
    return this.#configuredTask ?? this.info()?.task;
  }

  info(): EncoderInfo | undefined {
    return this.#supervisor.info;
  }

  get pid(): number | undefined {
    return this.#supervisor.pid;
  }

  get readySinceMs(): number | undefined {
    return this.#supervisor.readySinceMs;
  }

  async embed(request: EmbedRequest, { signal }: EncodeOptions): Promise<Embeddings> {
    const info = this.#admit(request, request.inputs.length, signal);
    if (request.dimensions !== undefined && request.dimensions > info.dimensions)
      throw new AppError('invalid_value', {
        message: `Invalid request: \`dimensions\` must be at most ${info.dimensions}, which is what this model has, but is ${request.dimensions}.`,
        param: 'dimensions',
      });
    const { rows, promptTokens } = await this.#run(request, request.inputs.length, signal);
    return { endpoint: 'embeddings', vectors: rows, promptTokens };
  }

  async rerank(request: RerankRequest, { signal }: EncodeOptions): Promise<RerankScores> {
    this.#admit(request, request.documents.length, signal);
    const { rows, promptTokens } = await this.#run(request, request.documents.length, signal);
    return { endpoint: 'rerank', scores: rows.map(([logit]) => sigmoid(logit!)), promptTokens };
  }

  async classify(request: ClassifyRequest, { signal }: EncodeOptions): Promise<Classifications> {
    const { independentClasses, labels } = this.#admit(request, request.inputs.length, signal);
    const { rows, promptTokens } = await this.#run(request, request.inputs.length, signal);
    const classes = rows.map((logits) => {
      const probabilities = independentClasses ? Array.from(logits, sigmoid) : softmax(logits);
      const best = probabilities.indexOf(Math.max(...probabilities));
      return { label: labels[best]!, probabilities };
    });
    return { endpoint: 'classify', classes, promptTokens };
  }

  /** All of it happens before anything is awaited: the answer to too much work is immediate. */
  #admit({ endpoint }: EncodeRequest, inputs: number, signal: AbortSignal): EncoderInfo {
    if (signal.aborted) throw abortError(signal);
    const supervisor = this.#supervisor;
    if (supervisor.closing) throw new AppError('shutting_down');
    const { info } = supervisor;
    if (supervisor.state !== 'ready' || info === undefined)
      throw new AppError('model_unavailable', {
        retryAfterMs: supervisor.retryAfterMs,
        cause: new Error(`Encoder ${this.name} is ${supervisor.state}: ${supervisor.detail}`),
      });
    if (info.task !== TASK_OF[endpoint])
      throw new AppError('invalid_value', {
        message: `The model \`${this.name}\` is not made for this: its task is ${info.task}.`,
        param: 'model',
      });
    const hasRoom =
      this.#open.size < this.#queueLimit &&
      this.#openInputs + inputs <= MOST_OPEN_INPUTS &&
      supervisor.unreadBytes <= MOST_UNREAD_BYTES;
    if (hasRoom) return info;
    throw new AppError('overloaded', {
      retryAfterMs: Math.ceil(Math.min(30_000, Math.max(1_000, this.#meanRunMs))),
    });
  }

  async #run(request: EncodeRequest, inputs: number, signal: AbortSignal): Promise<Rows> {
    const id = this.#nextId++;
    const { wire: _, ...rest } = request;
    try {
      this.#supervisor.send({ type: 'submit', id, request: rest });
    } catch (error) {
      throw error instanceof FrameError ? new AppError('body_too_large', { cause: error }) : error;
    }
    const { promise, resolve, reject } = Promise.withResolvers<Rows>();
    this.#open.set(id, { inputs, rows: [], startedAtMs: this.#clock.now(), resolve, reject });
    this.#openInputs += inputs;
    const onAbort = (): void => {
      this.#close(id)?.reject(abortError(signal));
      this.#supervisor.send({ type: 'cancel', id });
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  health(): BackendHealth {
    const { state, detail, retryAfterMs } = this.#supervisor;
    return {
      state,
      detail,
      inFlight: this.#open.size,
      queued: Math.min(this.#waiting, this.#open.size),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }

  async close(): Promise<void> {
    const closed = this.#supervisor.close();
    this.#failAll(new AppError('shutting_down'));
    await closed;
  }

  #receive(message: FromEncoder): void {
    if (message.type === 'rows')
      this.#open.get(message.id)?.rows.push(...unpackRows(message.data, message.rows));
    else if (message.type === 'outcomes') for (const outcome of message.outcomes) this.#settle(outcome);
    else if (message.type === 'batched') this.#batched(message.batch);
  }

  #batched({ waiting, ...batch }: BatchStatistics): void {
    this.#waiting = waiting;
    this.#emit({ type: 'encoder-batched', encoder: this.name, ...batch });
  }

  #settle(outcome: WireOutcome): void {
    const open = this.#close(outcome.id);
    if (open === undefined) return;
    if ('error' in outcome) {
      open.reject(fromWireError(outcome.error));
      return;
    }
    this.#meanRunMs += (this.#clock.now() - open.startedAtMs - this.#meanRunMs) / 8;
    open.rows.push(...unpackRows(outcome.data, outcome.rows));
    open.resolve({ rows: open.rows, promptTokens: outcome.promptTokens });
  }

  #close(id: number): OpenRequest | undefined {
    const open = this.#open.get(id);
    if (open !== undefined) this.#openInputs -= open.inputs;
    this.#open.delete(id);
    return open;
  }

  #lost(): void {
    this.#failAll(
      new AppError('model_unavailable', {
        retryAfterMs: this.#supervisor.retryAfterMs,
        cause: new Error(`Encoder ${this.name} ended while the request ran.`),
      }),
    );
  }

  #failAll(error: AppError): void {
    for (const id of [...this.#open.keys()]) this.#close(id)?.reject(error);
  }
}
