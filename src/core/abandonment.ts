import type { ErrorCode } from './error.ts';

/** Its client left, or gave it no more time: whatever was at work for it then, worked for nobody. */
export function isAbandonment(code: ErrorCode | undefined): boolean {
  return code === 'client_closed' || code === 'deadline_exceeded';
}
