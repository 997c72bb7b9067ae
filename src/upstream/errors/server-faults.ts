import { AppError } from '../../core/error.ts';

/** A server that does not keep to the protocol. */
export function unexpectedReply(detail: string): AppError {
  return new AppError('upstream_error', { cause: new Error(detail) });
}

export function timedOut(awaited: string, limitMs: number): AppError {
  return new AppError('upstream_timeout', {
    cause: new Error(`waited more than ${limitMs} ms for ${awaited}`),
  });
}
