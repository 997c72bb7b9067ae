import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { isShortage } from '../core/shortage.ts';

/** Editors write in several steps. */
const SETTLE_MS = 200;
/** Something else in the folder has changed, maybe a link on the way to the file; a log that is written there changes all the time. */
const OTHERS_MS = 1_000;
/** Of a file that is mounted by itself (Docker), or reached by a link, the system tells nothing in this folder; nor do some file systems at all. */
const UNTOLD_MS = 5_000;

/**
 * Calls back when the file holds something else than before, or is gone. The folder is watched, not the file, since
 * editors and Kubernetes replace files, the latter through symbolic links with other names; and now and then the file
 * is read all the same. Keeps no process alive.
 *
 * @returns What ends the watch.
 * @throws Error where the system cannot watch.
 */
export async function watchFile(
  file: string,
  onChange: () => void,
  untoldMs = UNTOLD_MS,
): Promise<() => void> {
  let known: string | undefined;
  const read = () =>
    readFile(file, 'utf8').catch((error: unknown) => (isShortage(error) ? known : undefined));
  known = await read();
  let timer: NodeJS.Timeout | undefined;
  const compare = async () => {
    timer = undefined;
    const text = await read();
    if (text === known) return;
    known = text;
    onChange();
  };
  const schedule = (afterMs: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => void compare(), afterMs).unref();
  };
  const look = async () => {
    if (timer === undefined && (await read()) !== known) schedule(SETTLE_MS);
  };
  const looking = setInterval(() => void look(), untoldMs).unref();
  const watcher = watch(dirname(file), { persistent: false }, (_, name) => {
    if (name === null || name === basename(file)) schedule(SETTLE_MS);
    else if (timer === undefined) schedule(OTHERS_MS);
  });
  // A folder that goes away ends the watch; SIGHUP still works.
  watcher.on('error', () => watcher.close());
  return () => {
    clearTimeout(timer);
    clearInterval(looking);
    watcher.close();
  };
}
