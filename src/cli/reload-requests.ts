import { closeSync, openSync } from 'node:fs';
import type { Logger } from '../telemetry/log.ts';
import { watchFile } from './watch-file.ts';

/**
 * Calls `reload` on SIGHUP and when the file changes. SIGHUP also means that the terminal has gone: what was started in one ends
 * with it.
 */
export async function onReloadRequests(options: {
  readonly file: string | undefined;
  readonly logger: Logger;
  readonly reload: () => void;
  readonly stop: (signal: NodeJS.Signals) => void;
}): Promise<void> {
  const { file, logger, reload, stop } = options;
  const startedInTerminal = hasTerminal();
  process.on('SIGHUP', () => {
    if (startedInTerminal && !hasTerminal()) stop('SIGHUP');
    else reload();
  });
  if (file === undefined) return;
  try {
    await watchFile(file, reload);
  } catch (error) {
    logger.warn({ file, err: error }, 'cannot watch the configuration; SIGHUP still reloads it');
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
