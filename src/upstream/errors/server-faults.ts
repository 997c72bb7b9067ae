import { AppError } from '../../core/error.ts';

/**
 * A connection that failed.
 *
 * @param requestSent False: the connection never came about, so that nothing can have been done.
 */
export function mapTransportError(cause: Error, requestSent: boolean): AppError {
  return new AppError(requestSent ? 'upstream_error' : 'upstream_unreachable', {
    cause,
    nothingSent: !requestSent,
  });
}

/** A server that does not keep to the protocol. */
export function unexpectedReply(detail: string): AppError {
  return new AppError('upstream_error', { cause: new Error(detail) });
}

export function timedOut(awaited: string, limitMs: number): AppError {
  return new AppError('upstream_timeout', {
    cause: new Error(`waited more than ${limitMs} ms for ${awaited}`),
  });
}
