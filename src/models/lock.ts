import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { onDisk } from './disk.ts';

const HEARTBEAT_MS = 2_000;
const STALE_AFTER_MS = 15_000;
const POLL_MS = 200;

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when somebody else holds the lock. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Runs `work` while no other process does the same under this lock file. A holder that died is noticed: at once on the
 * same machine (its pid is gone), else when its heartbeat, the file's mtime, stops for 15 s. Two processes that take over the
 * same dead lock in the same instant may both run: what they guard must be checked before use, as downloads are.
 */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const owner = JSON.stringify({ pid: process.pid, host: hostname(), token: randomUUID() });
  await acquire(path, owner, options);
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    if ((await readFile(path, 'utf8').catch(() => '')) === owner) await rm(path, { force: true });
  }
}

async function acquire(path: string, owner: string, { signal, onWait }: LockOptions): Promise<void> {
  for (let waited = false; ; waited = true) {
    signal?.throwIfAborted();
    if (await create(path, owner)) return;
    const seen = await readFile(path, 'utf8').catch(() => undefined);
    if (seen === undefined) continue;
    if (await isStale(path, seen)) {
      await takeAway(path, seen);
      continue;
    }
    if (!waited) onWait?.();
    await delay(POLL_MS, undefined, signal ? { signal } : {});
  }
}

async function create(path: string, owner: string): Promise<boolean> {
  return await onDisk(path, async () => {
    try {
      await writeFile(path, owner, { flag: 'wx' });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  });
}

async function isStale(path: string, seen: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > STALE_AFTER_MS) return true;
    const { pid, host } = JSON.parse(seen) as { pid: number; host: string };
    return host === hostname() && !isAlive(pid);
  } catch {
    // Gone meanwhile, or only half written: the next look tells.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Removes the lock only if it still is the one that was found stale: a fresh one is put back. */
async function takeAway(path: string, seen: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    if ((await readFile(aside, 'utf8')) === seen) await rm(aside, { force: true });
    else await rename(aside, path);
  } catch {
    // Another process was faster.
  }
}
