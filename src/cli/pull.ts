import { join } from 'node:path';
import { filesOf, loadCatalogue } from '../../config/catalogue.ts';
import { makeDataDir } from './data-dir.ts';
import { fetchWithProgress } from './fetch-with-progress.ts';
import type { Environment } from './run.ts';

/** `qianmen pull [NAME]`: fetches a model, or lists what can be fetched. */
export async function pull(
  name: string | undefined,
  flags: { readonly dataDir: string },
  env: Environment,
): Promise<void> {
  if (name === undefined) {
    process.stdout.write(catalogueTable());
    return;
  }
  makeDataDir(flags.dataDir);
  const path = await fetchWithProgress(name, join(flags.dataDir, 'models'), env);
  process.stdout.write(`${path}\n`);
}

function catalogueTable(): string {
  const rows = [...loadCatalogue()].map(([name, entry]) => {
    const sizeBytes = filesOf(entry).reduce((sum, file) => sum + file.sizeBytes, 0);
    const size = `${Math.round(sizeBytes / 1e6)} MB`;
    return `${name.padEnd(24)} ${size.padStart(8)}  ${entry.quantization.padEnd(6)} ${entry.title}${entry.untried ? ' (untried)' : ''}\n`;
  });
  return `Models that \`qianmen pull NAME\` fetches:\n${rows.join('')}`;
}
