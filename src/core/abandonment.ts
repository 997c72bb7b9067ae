import type { ErrorCode } from './error.ts';

/** Its client left, or gave it no more time: whatever was working on it then was working for nobody. */
export function isAbandonment(code: ErrorCode | undefined): boolean {
  return code === 'client_closed' || code === 'deadline_exceeded';
}
