import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The catalogue name of the model that tests run for real. */
export const REAL_MODEL = 'smollm2-135m-instruct';

/** Where test downloads live, outside version control. */
export const CACHE_DIR = fileURLToPath(new URL('../.cache', import.meta.url));

/** The models directory of tests, as `fetchModel` takes it. */
export const MODELS_DIR = join(CACHE_DIR, 'models');

/**
 * Path of the real model's GGUF, 98,362,432 bytes. The global setup fetches it before any test file runs.
 * Throws when it is not there, which means that the fetch failed: its reason was printed at the start of the run.
 */
export function realModelPath(): string {
  const path = join(MODELS_DIR, `${REAL_MODEL}.gguf`);
  if (existsSync(path)) return path;
  throw new Error(`${path} is missing: the global setup could not fetch it, see the start of this run.`);
}

/** The catalogue name of the encoder that tests run for real. */
export const REAL_ENCODER = 'all-minilm-l6-v2';

/** Path of the real encoder's directory. Throws like `realModelPath`. */
export function realEncoderPath(): string {
  const path = join(MODELS_DIR, REAL_ENCODER);
  if (existsSync(join(path, 'tokenizer.json'))) return path;
  throw new Error(`${path} is missing: the global setup could not fetch it, see the start of this run.`);
}
