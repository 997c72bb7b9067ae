import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CACHE_DIR } from '../model-file.ts';

/**
 * Prometheus' promtool, or undefined where it is not to be had: on PATH, or where `.ci/run` unpacks it. On Debian the
 * package `prometheus` brings it.
 */
export function promtoolPath(): string | undefined {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), join(CACHE_DIR, 'tools')]) {
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
