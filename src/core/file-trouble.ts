/** Why a file cannot be made or written. */
export interface FileTrouble {
  readonly reason: string;
  /** Undefined: only another place helps. */
  readonly fix?: string;
}

const MAKE_ROOM = 'Free some space there';
const GIVE_RIGHTS = 'Give this user the right to write there';

const TROUBLES: Readonly<Record<string, FileTrouble>> = {
  ENOSPC: { reason: 'the disk is full', fix: MAKE_ROOM },
  EDQUOT: { reason: 'the disk quota is used up', fix: MAKE_ROOM },
  EACCES: { reason: 'permission denied', fix: GIVE_RIGHTS },
  EPERM: { reason: 'not permitted', fix: GIVE_RIGHTS },
  ENOENT: { reason: 'there is no such folder', fix: 'Make the folder first' },
  EEXIST: { reason: 'there is a file of that name' },
  ENOTDIR: { reason: 'there is a file on the way to it' },
  EROFS: { reason: 'the file system is read-only' },
  ENOTSUP: { reason: 'the file system there takes nothing' },
  EFBIG: { reason: 'the file system does not take files of this size' },
};

/** @param code Of a system error. Undefined: it is none of those that say something about a file. */
export function fileTrouble(code: string | undefined): FileTrouble | undefined {
  return code !== undefined && Object.hasOwn(TROUBLES, code) ? TROUBLES[code] : undefined;
}
