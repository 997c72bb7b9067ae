import type { AppError } from '../../core/error.ts';
import type { CallOutcome } from './health.ts';

/**
 * What the end of a call says about the upstream.
 *
 * @param status Undefined: no response had come.
 */
export function outcomeOf(error: AppError, status: number | undefined): CallOutcome {
  if (status !== undefined && ((status >= 300 && status < 500) || status === 501)) return 'neutral';
  switch (error.code) {
    case 'upstream_unreachable':
      return status === undefined ? 'unreachable' : 'unavailable';
    case 'upstream_timeout':
      return status === undefined || status < 300 ? 'late' : 'failed';
    case 'upstream_error':
      return 'failed';
    default:
      return 'neutral';
  }
}

export function detailOf({ cause, message }: AppError): string {
  return cause instanceof Error ? transportDetail(cause) : message;
}

/**
 * What OpenSSL says stands between where in its sources that was: `error:0A00010B:SSL routines:function:wrong version
 * number:file:77:`.
 */
const OPENSSL_ERROR = /\berror:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/;

/** What an operator has to know of a failed connection. */
export function transportDetail({ message }: Error): string {
  const reason = OPENSSL_ERROR.exec(message)?.[1];
  return reason === undefined ? message : `TLS: ${reason}`;
}
