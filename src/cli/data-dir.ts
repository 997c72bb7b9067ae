import { accessSync, constants, mkdirSync } from 'node:fs';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EEXIST: 'there is a file of that name',
  ENOTDIR: 'there is a file on the way to it',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
};

/** Makes the folder that everything is kept in. @throws Error that says why it cannot be used, and what to do. */
export function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true });
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(
      `The data folder ${dataDir} cannot be used: ${REASONS[code ?? ''] ?? message}. ` +
        'Give this user the right to write there, or name another with dataDir or --data-dir.',
    );
  }
}
