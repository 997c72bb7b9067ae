import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { loadCatalogue } from '../../config/catalogue.ts';
import { type EngineConfig, engineName } from '../../config/engine.ts';
import type { Emit } from '../core/event.ts';
import type { SamplingDefaults } from '../core/sampling.ts';
import { createLocalEncoder } from '../encoder/local-encoder.ts';
import type { LocalEncoder } from '../encoder/local-encoder-options.ts';
import { isDecoderDirectory, recommendedSampling } from '../engine/decoder-directory.ts';
import { createEngineBackend, type EngineBackend } from '../engine/engine-backend.ts';

/** What is known only where the engine is started. */
export interface EngineSurroundings {
  readonly emit: Emit;
  /** The process is killed when it takes more. */
  readonly memoryLimitBytes: () => number;
  /** For graphs of models that lie where nothing may be written. */
  readonly graphDir?: string | undefined;
}

/** A GGUF file holds a generator; a directory holds what its config.json says. */
export function isEncoder({ task }: EngineConfig, path: string): boolean {
  return task !== undefined || (isDirectory(path) && !isDecoderDirectory(path));
}

export function createGenerator(
  engine: EngineConfig,
  path: string,
  surroundings: EngineSurroundings,
): EngineBackend {
  return createEngineBackend({
    ...commonOptions(engine, surroundings),
    modelPath: path,
    cacheDir: dirname(path),
    ...fallbackCacheDir(surroundings),
    slots: engine.slots,
    prefixCacheBytes: engine.prefixCacheBytes,
    speculation: engine.speculation === 'auto',
    sampling: { ...recommendedFor(engine, path), ...engine.sampling },
  });
}

export function createEncoder(
  engine: EngineConfig,
  path: string,
  surroundings: EngineSurroundings,
): LocalEncoder {
  return createLocalEncoder({
    ...commonOptions(engine, surroundings),
    directory: path,
    batchTokens: engine.batchTokens,
    integers: engine.precision === 'auto',
    ...fallbackCacheDir(surroundings),
    ...(engine.task === undefined ? {} : { task: engine.task }),
  });
}

function fallbackCacheDir({ graphDir }: EngineSurroundings) {
  return graphDir === undefined ? {} : { fallbackCacheDir: graphDir };
}

function commonOptions(engine: EngineConfig, { emit, memoryLimitBytes }: EngineSurroundings) {
  return {
    name: engineName(engine),
    ...(engine.threads === undefined ? {} : { threads: engine.threads }),
    ...(engine.contextTokens === undefined ? {} : { contextTokens: engine.contextTokens }),
    memoryLimitBytes,
    queueLimit: engine.queueLimit,
    spinning: engine.spinning,
    provider: engine.provider,
    providerOptions: engine.providerOptions,
    environment: engine.environment,
    emit,
  };
}

/** By the catalogue, or by the model's own files. */
function recommendedFor({ model }: EngineConfig, path: string): Partial<SamplingDefaults> {
  const entry = model === undefined ? undefined : loadCatalogue().get(model);
  if (entry !== undefined && 'sampling' in entry) return entry.sampling;
  return isDirectory(path) ? recommendedSampling(path) : {};
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
