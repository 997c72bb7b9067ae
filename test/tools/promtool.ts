import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Prometheus' promtool on PATH, or undefined where it is not installed (Debian package `prometheus`). */
export function promtoolPath(): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const candidate = join(folder, 'promtool');
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
