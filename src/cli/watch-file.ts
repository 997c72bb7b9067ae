import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** Editors write in several steps. */
const SETTLE_MS = 200;
/** Something else in the folder has changed, maybe a link on the way to the file; a log that is written there changes all the time. */
const OTHERS_MS = 1_000;

/**
 * Calls back when the file holds something else than before, or is gone. The folder is watched, not the file, since
 * editors and Kubernetes replace files, the latter through symbolic links with other names. Keeps no process alive.
 *
 * @returns What ends the watch.
 * @throws Error where the system cannot watch.
 */
export async function watchFile(file: string, onChange: () => void): Promise<() => void> {
  const read = () => readFile(file, 'utf8').catch(() => undefined);
  let known = await read();
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
  const watcher = watch(dirname(file), { persistent: false }, (_, name) => {
    if (name === null || name === basename(file)) schedule(SETTLE_MS);
    else if (timer === undefined) schedule(OTHERS_MS);
  });
  // A folder that goes away ends the watch; SIGHUP still works.
  watcher.on('error', () => watcher.close());
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}
