import { expect, it } from 'vitest';
import { because } from './problem.ts';

it.each([
  ['ENOSPC', 'Free some space there, or name another place.'],
  ['SQLITE_FULL', 'Free some space there, or name another place.'],
  ['SQLITE_IOERR_WRITE', 'Is there free space, and is the disk in order?'],
  ['EPERM', 'Give this user the right to write there, or name another place.'],
  ['SQLITE_CANTOPEN', 'Give this user the right to write there, or name another place.'],
  ['EROFS', 'The file system is read-only: name another place.'],
  ['ENOENT', 'Make the folder first, or name another place.'],
  ['3D000', 'Make it with `createdb`.'],
])('says what to do about %s', (code, fix) => {
  const error = Object.assign(new Error('why'), { code });
  expect(because('it cannot be', error).message).toBe(`it cannot be: why. ${fix}`);
});

it('takes the missing socket of a server for a server that does not run', () => {
  const error = Object.assign(new Error('why'), { code: 'ENOENT', syscall: 'connect' });
  expect(because('it cannot be', error).message).toContain('Is the server running');
});
