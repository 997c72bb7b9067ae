import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Restores a backup, and is killed before the files get other names for the Nth time: `node restore-process.ts DATABASE BACKUP N`. */
const [path = '', file = '', number] = process.argv.slice(2);
let left = Number(number);
for (const name of ['linkSync', 'renameSync', 'fsyncSync'] as const) {
  const call = fs[name] as (...args: unknown[]) => void;
  const calls = (...args: unknown[]) => {
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
    call(...args);
  };
  Object.assign(fs, { [name]: calls });
}
syncBuiltinESMExports();
const { restore } = await import('../../src/store/restore.ts');
process.stdout.write('begins\n');
await restore(path, file);
