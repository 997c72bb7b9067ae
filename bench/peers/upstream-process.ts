import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './measure.ts';
import { cacheFolder } from './paths.ts';
import { requirePinned, startPinned, within } from './processes.ts';

/** Starts the upstream, on the core of the load generator. @param binaries The folder of both */
export async function startUpstream(binaries: string, core: number): Promise<Bench> {
  mkdirSync(join(cacheFolder, 'run'), { recursive: true });
  const logFile = join(cacheFolder, 'run/upstream.log');
  writeFileSync(logFile, '');
  const { pid } = startPinned({ core, command: [join(binaries, 'upstream')], logFile });
  const url = () => /^http:\/\/127\.0\.0\.1:\d+/m.exec(readFileSync(logFile, 'utf8'))?.[0];
  if (!(await within(5_000, () => url() !== undefined))) throw new Error('the upstream did not start');
  requirePinned([pid], core);
  return { loadgen: join(binaries, 'loadgen'), core, upstream: { url: url()!, pid } };
}
