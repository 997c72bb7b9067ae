import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Of a model's file, or of the files of its directory: size and time. Another signature means that somebody has exchanged it.
 * Undefined where there is none.
 */
export function fileSignature(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isDirectory()) return stamp(path);
  const names = readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.')) return [];
    if (!entry.isDirectory()) return [entry.name];
    return readdirSync(join(path, entry.name)).map((name) => join(entry.name, name));
  });
  return names
    .sort()
    .map((name) => `${name} ${stamp(join(path, name))}`)
    .join('\n');
}

/** Links are followed: the model hubs' caches consist of them. */
function stamp(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? 'gone' : `${stat.size} ${stat.mtimeMs}`;
}
