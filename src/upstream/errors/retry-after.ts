/** No upstream keeps clients away for longer than this, whatever it says. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * All dates are in GMT; that in the form of C's asctime, which must be understood too, does not say so, and
 * `Date.parse` would take it for local.
 */
const ZONE = /(?:gmt|utc?|z|[+-]\d\d:?\d\d)$/i;
const HTTP_DATE = /^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? .*\d\d:\d\d:\d\d/i;

export interface RetryAfterHeaders {
  readonly retryAfter: string | undefined;
  readonly retryAfterMs: string | undefined;
}

/**
 * Milliseconds to wait, from `retry-after-ms` (OpenAI) or `Retry-After` (RFC 9110 §10.2.3: seconds, here also with
 * decimals, or a date). Undefined for anything else, negative numbers included; a date in the past is 0.
 */
export function parseRetryAfter(headers: RetryAfterHeaders, wallClockMs: number): number | undefined {
  return (
    toDelayMs(headers.retryAfterMs, 1) ??
    toDelayMs(headers.retryAfter, 1_000) ??
    untilDateMs(headers.retryAfter, wallClockMs)
  );
}

function toDelayMs(text: string | undefined, unitMs: number): number | undefined {
  if (text === undefined || !/^\s*\d+(?:\.\d*)?\s*$/.test(text)) return undefined;
  return Math.min(Math.ceil(Number(text) * unitMs), MAX_RETRY_AFTER_MS);
}

function untilDateMs(text: string | undefined, wallClockMs: number): number | undefined {
  const date = text?.trim() ?? '';
  if (!HTTP_DATE.test(date)) return undefined;
  const atMs = Date.parse(ZONE.test(date) ? date : `${date} GMT`);
  if (Number.isNaN(atMs)) return undefined;
  return Math.min(Math.max(atMs - wallClockMs, 0), MAX_RETRY_AFTER_MS);
}
