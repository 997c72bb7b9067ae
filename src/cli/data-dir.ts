import { accessSync, constants, mkdirSync } from 'node:fs';

interface Problem {
  readonly reason: string;
  /** Beside naming another folder. */
  readonly fix?: string;
}

const PROBLEMS: Readonly<Record<string, Problem>> = {
  EACCES: { reason: 'permission denied', fix: 'Give this user the right to write there' },
  EPERM: { reason: 'not permitted', fix: 'Give this user the right to write there' },
  EEXIST: { reason: 'there is a file of that name' },
  ENOTDIR: { reason: 'there is a file on the way to it' },
  ENOSPC: { reason: 'the disk is full', fix: 'Free some space there' },
  EROFS: { reason: 'the file system is read-only' },
};

/** Makes the folder that everything is kept in. @throws Error that says why it cannot be used, and what to do. */
export function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true });
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const { reason, fix }: Problem = PROBLEMS[code] ?? { reason: message };
    const advice = fix === undefined ? 'Name another' : `${fix}, or name another`;
    throw new Error(
      `The data folder ${dataDir} cannot be used: ${reason}. ${advice} with dataDir or --data-dir.`,
    );
  }
}
