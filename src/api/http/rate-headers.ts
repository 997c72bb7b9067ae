import type { RateStatus } from '../../core/error.ts';

/** OpenAI's headers about limits by the minute: names and values in turns, appended to `headers`. */
export function pushRateHeaders(headers: string[], { requests, tokens }: RateStatus): void {
  if (requests !== undefined)
    headers.push(
      'x-ratelimit-limit-requests',
      wholeText(requests.limit),
      'x-ratelimit-remaining-requests',
      wholeText(requests.remaining),
      'x-ratelimit-reset-requests',
      durationText(requests.resetMs),
    );
  if (tokens !== undefined)
    headers.push(
      'x-ratelimit-limit-tokens',
      wholeText(tokens.limit),
      'x-ratelimit-remaining-tokens',
      wholeText(tokens.remaining),
      'x-ratelimit-reset-tokens',
      durationText(tokens.resetMs),
    );
}

export function rateHeaders(rate: RateStatus): Record<string, string> {
  const list: string[] = [];
  pushRateHeaders(list, rate);
  const headers: Record<string, string> = {};
  for (let i = 0; i < list.length; i += 2) headers[list[i]!] = list[i + 1]!;
  return headers;
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
  return `${Math.floor(seconds / 60)}m${Math.ceil(seconds % 60)}s`;
}
