import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MODELS_DIR, REAL_MODEL } from './model-file.ts';

/** Runs once before all test files. */
export default function setup(): void {
  if (!existsSync(join(MODELS_DIR, `${REAL_MODEL}.gguf`)))
    process.stderr.write(`the model ${REAL_MODEL} is not in ${MODELS_DIR}: tests on it will fail\n`);
}
