import type { AppError } from '../../core/error.ts';
import { rateHeaders } from '../http/rate-headers.ts';

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
 * When and whether to come back. The OpenAI SDKs read `retry-after-ms`, then `retry-after`, and retry 408, 409, 429 and
 * 5xx unless `x-should-retry` says otherwise; it is sent only where that rule would be wrong.
 */
export function errorHeaders(error: AppError): Record<string, string> {
  const headers = error.rate === undefined ? {} : rateHeaders(error.rate);
  const afterMs = error.retryAfterMs ?? (error.status === 503 ? UNKNOWN_OUTAGE_MS : undefined);
  if (afterMs !== undefined) {
    headers['retry-after'] = String(Math.max(Math.ceil(afterMs / 1_000), 0));
    headers['retry-after-ms'] = String(Math.max(Math.ceil(afterMs), 0));
  }
  const sdkRetries = [408, 409, 429].includes(error.status) || error.status >= 500;
  const isTooLong = afterMs !== undefined && afterMs > SDK_MAX_RETRY_AFTER_MS;
  if (sdkRetries && isTooLong) headers['x-should-retry'] = 'false';
  if (!sdkRetries && error.retryable && !isTooLong) headers['x-should-retry'] = 'true';
  return headers;
}
