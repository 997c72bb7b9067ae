import { statSync } from 'node:fs';

/** What tells a file from all others, also from one that takes its name later; undefined: there is none of that name. @throws Error of the system */
export function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}
