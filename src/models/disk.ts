import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rename, stat, statfs, writeFile } from 'node:fs/promises';
import { fileTrouble } from '../core/file-trouble.ts';

/** The disk refused. No other source of a model would fare better, so the fetch ends with it. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
}

/** Runs file operations under `path` and turns their errors into a DiskError that names it. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    throw new DiskError(`Cannot write ${path}: ${fileTrouble(code)?.reason ?? message}.`, { cause: error });
  }
}

/** Throws a DiskError when the file system that holds `directory` has less than `neededBytes` free. */
export async function requireSpace(directory: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await onDisk(directory, () => statfs(directory));
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return;
  throw new DiskError(
    `Not enough space in ${directory}: ${megabytes(neededBytes)} needed, ${megabytes(freeBytes)} free.`,
  );
}

/** What a file must be. `sha256` is lower-case hex. */
export interface Fingerprint {
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface HashOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((hashedBytes: number) => void) | undefined;
}

/** Hashes what is on the disk now, streamed. */
async function sha256OfFile(path: string, options: HashOptions = {}): Promise<string> {
  const hash = createHash('sha256');
  let hashedBytes = 0;
  const stream = createReadStream(path, { highWaterMark: 1 << 20, signal: options.signal });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    hashedBytes += chunk.length;
    options.onBytes?.(hashedBytes);
  }
  return hash.digest('hex');
}

/** Says why the file is not the expected one, or undefined when it is. */
export async function mismatch(
  path: string,
  expected: Fingerprint,
  options: HashOptions = {},
): Promise<string | undefined> {
  const { size } = await stat(path);
  if (size !== expected.sizeBytes) return `it has ${size} bytes instead of ${expected.sizeBytes}`;
  const found = await sha256OfFile(path, options);
  return found === expected.sha256 ? undefined : `its SHA-256 is ${found} instead of ${expected.sha256}`;
}

interface VerifiedMark extends Fingerprint {
  readonly mtimeMs: number;
}

/** Notes beside the file that it was checked, so that later starts need not hash it again. A read-only place is fine. */
export async function markVerified(path: string, expected: Fingerprint): Promise<void> {
  const mark: VerifiedMark = { ...expected, mtimeMs: (await stat(path)).mtimeMs };
  try {
    await writeFile(`${markPath(path)}.new`, `${JSON.stringify(mark)}\n`);
    await rename(`${markPath(path)}.new`, markPath(path));
  } catch {
    // Without the mark the next start hashes the file once more, which is slow and nothing worse.
  }
}

/** The fingerprint that the file was checked against, if it has not changed since. */
export async function readVerified(path: string): Promise<Fingerprint | undefined> {
  try {
    const mark = JSON.parse(await readFile(markPath(path), 'utf8')) as VerifiedMark;
    const { size, mtimeMs } = await stat(path);
    return mark.sizeBytes === size && mark.mtimeMs === mtimeMs ? mark : undefined;
  } catch {
    return undefined;
  }
}

function markPath(path: string): string {
  return `${path}.verified`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
