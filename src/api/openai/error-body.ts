import type { AppError } from '../../core/error.ts';
import { headerLine } from '../http/header-lines.ts';
import { rateLines } from '../http/rate-lines.ts';

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** The SDKs obey a `retry-after` up to this; beyond it they fall back on their own short backoff. */
const SDK_MAX_RETRY_AFTER_MS = 60_000;

/** When to come back to something that is down for nobody knows how long. */
const UNKNOWN_OUTAGE_MS = 1_000;

/** OpenAI's error object: all four keys, always. */
export function errorBody(error: AppError): ErrorBody {
  return {
    error: { message: error.message, type: error.type, param: error.param ?? null, code: error.code },
  };
}

/** The error as one SSE event, for a stream that has already begun. No `[DONE]` may follow it. */
export function errorEvent(error: AppError): string {
  return `data: ${JSON.stringify(errorBody(error))}\n\n`;
}

/**
 * When and whether to come back, as lines of a head. The OpenAI SDKs read `retry-after-ms`, then `retry-after`, and
 * retry 408, 409, 429 and 5xx unless `x-should-retry` says otherwise; it is sent only where that rule would be wrong.
 */
export function errorLines(error: AppError): string {
  let lines = error.rate === undefined ? '' : rateLines(error.rate);
  const afterMs = error.retryAfterMs ?? (error.status === 503 ? UNKNOWN_OUTAGE_MS : undefined);
  if (afterMs !== undefined) {
    lines += headerLine('retry-after', String(Math.max(Math.ceil(afterMs / 1_000), 0)));
    lines += headerLine('retry-after-ms', String(Math.max(Math.ceil(afterMs), 0)));
  }
  const sdkRetries = [408, 409, 429].includes(error.status) || error.status >= 500;
  const isTooLong = afterMs !== undefined && afterMs > SDK_MAX_RETRY_AFTER_MS;
  if (sdkRetries && isTooLong) lines += headerLine('x-should-retry', 'false');
  if (!sdkRetries && error.retryable && !isTooLong) lines += headerLine('x-should-retry', 'true');
  return lines;
}
