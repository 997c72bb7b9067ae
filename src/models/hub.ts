import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, type Dispatcher } from 'undici';
import type { HubSource } from '../../config/catalogue.ts';
import { onDisk, requireSpace } from './disk.ts';
import { follow, type HubReply } from './hub-redirects.ts';
import { forget, openPart, readMark, sizeOf, writeFully, writeMark } from './part-file.ts';
import { SourceError, type SourceTask } from './source.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Longest silence inside the body. */
const BODY_TIMEOUT_MS = 30_000;
/** Tries in a row that brought no byte forward before the hub counts as broken. */
const MAX_FRUITLESS_TRIES = 3;
const RETRY_DELAY_MS = 500;

export interface HubOptions {
  /** Root of the hub, such as https://huggingface.co */
  readonly url: URL;
  readonly token?: string | undefined;
  /** Replaces the connection pool, for proxies. */
  readonly dispatcher?: Dispatcher | undefined;
}

/** The file's address at the hub, in the scheme of huggingface_hub's `hf_hub_url`. */
export function hubFileUrl(hub: URL, source: HubSource): URL {
  const path = `${source.repository}/resolve/${source.revision}/${source.file}`;
  return new URL(path, hub.href.endsWith('/') ? hub : `${hub.href}/`);
}

/**
 * Downloads into the part file, going on where an earlier try stopped if the hub still has the same file.
 * Returns the SHA-256 that the file must have: the catalogue's, or else the one that the hub states.
 * Throws SourceError when the hub cannot deliver, DiskError when the disk cannot take it.
 */
export async function downloadFromHub(task: SourceTask, source: HubSource, hub: HubOptions): Promise<string> {
  const pool =
    hub.dispatcher ??
    new Agent({
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: BODY_TIMEOUT_MS,
    });
  try {
    let position = await sizeOf(task.partPath);
    for (let fruitless = 0; ; ) {
      const outcome = await attempt(task, source, { ...hub, dispatcher: pool });
      if (outcome.done) return outcome.sha256;
      const reached = await sizeOf(task.partPath);
      fruitless = reached > position ? 0 : fruitless + 1;
      position = reached;
      if (fruitless >= MAX_FRUITLESS_TRIES) throw new SourceError(outcome.reason);
      await delay(RETRY_DELAY_MS * fruitless, undefined, { signal: task.signal });
    }
  } finally {
    if (!hub.dispatcher) await pool.close();
  }
}

type Outcome =
  | { readonly done: true; readonly sha256: string }
  | { readonly done: false; readonly reason: string };

async function attempt(
  task: SourceTask,
  source: HubSource,
  hub: HubOptions & { dispatcher: Dispatcher },
): Promise<Outcome> {
  const { entry, partPath, signal } = task;
  const url = hubFileUrl(hub.url, source);
  const mark = await readMark(partPath);
  const resumable = mark?.origin === url.href ? mark : undefined;
  let offset = resumable ? await sizeOf(partPath) : 0;
  // A complete part is asked for again from its last byte, so that the hub confirms it is still the same file.
  if (offset >= entry.sizeBytes) offset = offset === entry.sizeBytes ? offset - 1 : 0;
  task.report({ phase: 'connecting', receivedBytes: offset, totalBytes: entry.sizeBytes });

  const range = resumable && offset > 0 ? { range: `bytes=${offset}-`, 'if-range': resumable.etag } : {};
  const reply = await follow(url, { ...hub, signal, headers: range });
  try {
    if (reply.status === 416) {
      await forget(partPath);
      return { done: false, reason: 'the hub refuses to go on with the partial download' };
    }
    if (reply.status !== 200 && reply.status !== 206) throw new SourceError(statusReason(reply.status, hub));
    const start = reply.status === 206 ? checkedStart(reply, offset, entry.sizeBytes) : 0;
    if (reply.status === 200) checkLength(reply, entry.sizeBytes);
    const sha256 = checkedDigest(reply, entry.sha256);
    await requireSpace(dirname(partPath), entry.sizeBytes - start);
    await writeMark(partPath, reply.etag === undefined ? undefined : { origin: url.href, etag: reply.etag });
    const broken = await receive(task, reply, start);
    return broken === undefined ? { done: true, sha256 } : { done: false, reason: broken };
  } finally {
    // A body that nobody reads to its end reports its own destruction as an error.
    reply.body.on('error', () => undefined).destroy();
  }
}

/** Writes the body behind `start`. Returns why it ended early, or undefined when the file is complete. */
async function receive(task: SourceTask, reply: HubReply, start: number): Promise<string | undefined> {
  const { entry, partPath, report } = task;
  const totalBytes = entry.sizeBytes;
  let position = start;
  const file = await openPart(partPath, start);
  try {
    const body = reply.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      const next = await nextChunk(body, task.signal);
      if (next.kind === 'broken') return next.reason;
      if (next.kind === 'end') break;
      if (position + next.chunk.length > totalBytes)
        throw new SourceError(`it sends more than the ${totalBytes} bytes that the file has`);
      await onDisk(partPath, () => writeFully(file, next.chunk, position));
      position += next.chunk.length;
      report({ phase: 'downloading', receivedBytes: position, totalBytes });
    }
    if (position < totalBytes) return `the download ended after ${position} of ${totalBytes} bytes`;
    await onDisk(partPath, () => file.sync());
    return undefined;
  } finally {
    await file.close();
  }
}

type Chunk =
  | { readonly kind: 'data'; readonly chunk: Buffer }
  | { readonly kind: 'end' }
  | { readonly kind: 'broken'; readonly reason: string };

async function nextChunk(body: AsyncIterator<Buffer>, signal: AbortSignal): Promise<Chunk> {
  try {
    const { done, value } = await body.next();
    return done === true ? { kind: 'end' } : { kind: 'data', chunk: value };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'broken', reason: `the download broke off: ${(error as Error).message}` };
  }
}

function checkedStart(reply: HubReply, offset: number, sizeBytes: number): number {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(reply.contentRange ?? '');
  const total = match?.[2] === '*' ? sizeBytes : Number(match?.[2]);
  if (match && Number(match[1]) === offset && total === sizeBytes) return offset;
  throw new SourceError(`it answered a resumed download with the range "${reply.contentRange ?? 'none'}"`);
}

function checkLength(reply: HubReply, sizeBytes: number): void {
  if (reply.contentLength !== undefined && reply.contentLength !== sizeBytes)
    throw new SourceError(`its file has ${reply.contentLength} bytes instead of ${sizeBytes}`);
}

function checkedDigest(reply: HubReply, expected: string | null): string {
  if (expected === null) {
    if (reply.sha256 !== undefined) return reply.sha256;
    throw new SourceError(
      'it does not state the SHA-256 of the file, and the catalogue has none to check against',
    );
  }
  if (reply.sha256 !== undefined && reply.sha256 !== expected)
    throw new SourceError(`its file has the SHA-256 ${reply.sha256} instead of ${expected}`);
  return expected;
}

function statusReason(status: number, hub: HubOptions): string {
  if (status === 401 || status === 403)
    return `access refused (HTTP ${status}): ${hub.token === undefined ? 'the model may need a token of the hub' : 'the token does not open this model'}`;
  if (status === 404) return 'it has no such file (HTTP 404)';
  if (status === 429) return 'too many downloads (HTTP 429): try again later';
  return `it answered with HTTP ${status}`;
}
