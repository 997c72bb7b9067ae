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
  return cause instanceof Error ? cause.message : message;
}
