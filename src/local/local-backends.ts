import type { Backend, BackendHealth, RunOptions } from '../core/backend.ts';
import type {
  Classifications,
  ClassifyRequest,
  Embeddings,
  EmbedRequest,
  EncodeOptions,
  Encoder,
  EncoderTask,
  RerankRequest,
  RerankScores,
} from '../core/encoder.ts';
import type { PartSource } from '../core/part-source.ts';
import type { GenerateRequest, Requirement } from '../core/request.ts';
import type { LocalEncoder } from '../encoder/local-encoder-options.ts';
import { type EngineBackend, engineLacks } from '../engine/engine-backend.ts';
import type { LocalModel } from './local-model.ts';

/** This many requests fill a few batches, each of which takes one input of every request in turn. */
const SHARED_BATCHES = 64;

/** A local model as the gateway sees it: it stays the same while its engine comes and goes. */
export type LocalBackend = LocalGenerator | LocalReader;

export class LocalGenerator implements Backend {
  readonly kind = 'engine';
  readonly local: LocalModel<EngineBackend>;

  constructor(local: LocalModel<EngineBackend>) {
    this.local = local;
  }

  get name(): string {
    return this.local.name;
  }

  get places(): number {
    return this.local.settings.slots;
  }

  run(request: GenerateRequest, options: RunOptions): Promise<PartSource> {
    return this.local.use(options.signal, (engine) => engine.run(request, options));
  }

  lacks(request: GenerateRequest): Requirement | undefined {
    return this.local.engine === undefined ? engineLacks(request) : this.local.engine.lacks(request);
  }

  health(): BackendHealth {
    return this.local.health();
  }

  close(): Promise<void> {
    return this.local.close();
  }
}

export class LocalReader implements Encoder {
  readonly kind = 'encoder';
  readonly places = SHARED_BATCHES;
  readonly local: LocalModel<LocalEncoder>;
  #task: EncoderTask | undefined;

  constructor(local: LocalModel<LocalEncoder>) {
    this.local = local;
    this.#task = local.settings.task;
  }

  get name(): string {
    return this.local.name;
  }

  /** As it was when it was last in memory. */
  get task(): EncoderTask | undefined {
    this.#task ??= this.local.engine?.task;
    return this.#task;
  }

  embed(request: EmbedRequest, options: EncodeOptions): Promise<Embeddings> {
    return this.local.use(options.signal, (engine) => engine.embed(request, options));
  }

  rerank(request: RerankRequest, options: EncodeOptions): Promise<RerankScores> {
    return this.local.use(options.signal, (engine) => engine.rerank(request, options));
  }

  classify(request: ClassifyRequest, options: EncodeOptions): Promise<Classifications> {
    return this.local.use(options.signal, (engine) => engine.classify(request, options));
  }

  health(): BackendHealth {
    return this.local.health();
  }

  close(): Promise<void> {
    return this.local.close();
  }
}
