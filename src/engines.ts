import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { loadCatalogue } from '../config/catalogue.ts';
import { type EngineConfig, engineName } from '../config/engine.ts';
import type { Emit } from './core/event.ts';
import { createLocalEncoder } from './encoder/local-encoder.ts';
import { createEngineBackend } from './engine/engine-backend.ts';

/** The local model that a configuration entry describes: a directory holds an encoder, a file holds a generator. */
export function createEngine(engine: EngineConfig, path: string, emit: Emit) {
  const common = {
    name: engineName(engine),
    ...(engine.threads === undefined ? {} : { threads: engine.threads }),
    ...(engine.contextTokens === undefined ? {} : { contextTokens: engine.contextTokens }),
    queueLimit: engine.queueLimit,
    spinning: engine.spinning,
    emit,
  };
  if (engine.task !== undefined || statSync(path, { throwIfNoEntry: false })?.isDirectory())
    return createLocalEncoder({
      ...common,
      directory: path,
      batchTokens: engine.batchTokens,
      ...(engine.task === undefined ? {} : { task: engine.task }),
    });
  return createEngineBackend({
    ...common,
    modelPath: path,
    cacheDir: dirname(path),
    slots: engine.slots,
    prefixCacheBytes: engine.prefixCacheBytes,
    sampling: { ...recommendedSampling(engine), ...engine.sampling },
  });
}

function recommendedSampling({ model }: EngineConfig) {
  const entry = model === undefined ? undefined : loadCatalogue().get(model);
  return entry !== undefined && 'sampling' in entry ? entry.sampling : {};
}
