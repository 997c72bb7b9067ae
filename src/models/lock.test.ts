import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from './lock.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qianmen-lock-'));
  path = join(directory, 'x.lock');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function leaveBehind(owner: object, ageMs: number): Promise<void> {
  await writeFile(path, JSON.stringify(owner));
  const then = new Date(Date.now() - ageMs);
  await utimes(path, then, then);
}

describe('a lock', () => {
  it('lets one holder in at a time, and is gone afterwards', async () => {
    let inside = 0;
    let most = 0;
    const work = () =>
      withLock(path, {}, async () => {
        most = Math.max(most, ++inside);
        await new Promise((done) => setTimeout(done, 20));
        inside--;
      });
    await Promise.all([work(), work(), work()]);
    expect(most).toBe(1);
    expect(await readdir(directory)).toEqual([]);
  });

  it('is given back when the work fails', async () => {
    await expect(withLock(path, {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await readdir(directory)).toEqual([]);
  });

  it('of a dead process on this machine is taken over at once', async () => {
    await leaveBehind({ pid: 2 ** 22 + 1, host: hostname() }, 0);
    const onWait = () => expect.fail('it waited');
    expect(await withLock(path, { onWait }, async () => 'in')).toBe('in');
  });

  it('whose heartbeat stopped on another machine is taken over', async () => {
    await leaveBehind({ pid: 1, host: 'elsewhere' }, 60_000);
    expect(await withLock(path, {}, async () => 'in')).toBe('in');
  });

  it('that is alive elsewhere is waited for, until the signal says otherwise', async () => {
    await leaveBehind({ pid: 1, host: 'elsewhere' }, 0);
    const controller = new AbortController();
    const onWait = () => controller.abort();
    await expect(withLock(path, { signal: controller.signal, onWait }, async () => 'in')).rejects.toThrow();
    expect(await readdir(directory)).toEqual(['x.lock']);
  });
});
