import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCatalogue } from '../config/catalogue.ts';
import { fetchModel } from '../src/models/fetch-model.ts';
import { renderProgress } from '../src/models/progress.ts';
import { CACHE_DIR, MODELS_DIR, REAL_ENCODER, REAL_MODEL } from './model-file.ts';
import { promtoolPath } from './tools/promtool.ts';
import { preparePython } from './tools/python.ts';

/**
 * Runs once before all test files and brings what they share: the real models and the Python tools. Costs little once they are
 * there. Without a network the rest of the tests still runs; in CI nothing may be missing.
 *
 * @returns What is to be done after all test files.
 */
export default async function setup(): Promise<() => void> {
  const removeTemporary = gatherTemporary();
  await Promise.all([compileModules(), fetchModels(), required('the Python tools', preparePython)]);
  if (promtoolPath() === undefined)
    process.stderr.write(
      'promtool is not on PATH (Debian package prometheus): tests of metrics and rules are skipped.\n',
    );
  return removeTemporary;
}

/** Has everything temporary of the run lie in one folder. @returns Removes it. */
function gatherTemporary(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-tests-'));
  // PostgreSQL runs as another user.
  chmodSync(folder, 0o755);
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/**
 * Has Node keep what it compiled, for all processes of the run: tests start the gateway some two hundred times, and each start
 * takes half the time without compiling four hundred modules. Node knows by their content which of them have changed.
 */
async function compileModules(): Promise<void> {
  process.env.NODE_COMPILE_CACHE = join(CACHE_DIR, 'compiled');
  // One that is killed, as most are, keeps nothing: this one loads everything, and ends by itself for want of a configuration.
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const loading = spawn(process.execPath, [main, 'serve', '--config', '/nowhere.yaml'], { stdio: 'ignore' });
  await once(loading, 'exit');
}

async function fetchModels(): Promise<void> {
  const progress = renderProgress(process.stderr);
  try {
    for (const name of [REAL_MODEL, REAL_ENCODER])
      await required(`the model ${name}`, () =>
        fetchModel({
          name,
          catalogue: loadCatalogue(),
          modelsDir: MODELS_DIR,
          onProgress: progress.update,
          hubUrl: process.env.HF_ENDPOINT,
        }),
      );
  } finally {
    progress.end();
  }
}

async function required(what: string, bring: () => Promise<unknown>): Promise<void> {
  try {
    await bring();
  } catch (error) {
    const text = `${what}, which tests need, cannot be had: ${(error as Error).message}`;
    if (process.env.CI === 'true') throw new Error(text);
    process.stderr.write(`\n${text}\nTests that need it are skipped or fail.\n\n`);
  }
}
