import { accessSync, constants } from 'node:fs';
import { fileTrouble } from '../core/file-trouble.ts';
import { makeFolder } from '../core/make-folder.ts';

/** Makes the folder that everything is kept in. @throws Error that says why it cannot be used, and what to do. */
export function makeDataDir(dataDir: string): void {
  try {
    makeFolder(dataDir);
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const { reason, fix } = fileTrouble(code) ?? { reason: message };
    const advice = fix === undefined ? 'Name another' : `${fix}, or name another`;
    throw new Error(
      `The data folder ${dataDir} cannot be used: ${reason}. ${advice} with dataDir or --data-dir.`,
    );
  }
}
