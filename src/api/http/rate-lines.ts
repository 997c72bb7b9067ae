import type { RateStatus } from '../../core/error.ts';

/** OpenAI's headers about limits by the minute, as lines of a head. */
export function rateLines({ requests, tokens }: RateStatus): string {
  let lines = '';
  if (requests !== undefined)
    lines += `x-ratelimit-limit-requests: ${wholeText(requests.limit)}\r\nx-ratelimit-remaining-requests: ${wholeText(requests.remaining)}\r\nx-ratelimit-reset-requests: ${durationText(requests.resetMs)}\r\n`;
  if (tokens !== undefined)
    lines += `x-ratelimit-limit-tokens: ${wholeText(tokens.limit)}\r\nx-ratelimit-remaining-tokens: ${wholeText(tokens.remaining)}\r\nx-ratelimit-reset-tokens: ${durationText(tokens.resetMs)}\r\n`;
  return lines;
}

const BILLION = 1_000_000_000;

/** Beyond 31 bits numbers are written as fractions are, which takes several times as long. */
function wholeText(number: number): string {
  if (number < BILLION || number > Number.MAX_SAFE_INTEGER || !Number.isInteger(number))
    return String(number);
  const high = Math.floor(number / BILLION);
  return `${high}${String(BILLION + (number - high * BILLION)).slice(1)}`;
}

/** In OpenAI's way: `6m0s`, `1.5s`, `12ms`. */
function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 10) / 100;
  if (seconds < 60) return `${seconds}s`;
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}m${whole % 60}s`;
}
