import { existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder with all above it, and has nothing against one that is there. Node's own `recursive` never returns where the file
 * system says ENOENT although the folder above is there, as /proc does: it makes that one again and again.
 *
 * @throws Error of the system; ENOTSUP in such a place
 */
export function makeFolder(path: string): void {
  let first = resolve(path);
  while (!existsSync(dirname(first))) first = dirname(first);
  try {
    mkdirSync(first);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw refusal(first);
    if (code !== 'EEXIST') throw error;
  }
  mkdirSync(path, { recursive: true });
}

function refusal(path: string): Error {
  const message = `ENOTSUP: no folder can be made in ${dirname(path)}`;
  return Object.assign(new Error(message), { code: 'ENOTSUP', syscall: 'mkdir', path });
}
