import type { RateLeft, RateStatus } from '../../core/error.ts';

/** OpenAI's headers about limits by the minute: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`. */
export function rateHeaders({ requests, tokens }: RateStatus): Record<string, string> {
  const headers: Record<string, string> = {};
  if (requests !== undefined) tell(headers, 'requests', requests);
  if (tokens !== undefined) tell(headers, 'tokens', tokens);
  return headers;
}

function tell(headers: Record<string, string>, what: string, { limit, remaining, resetMs }: RateLeft): void {
  headers[`x-ratelimit-limit-${what}`] = String(limit);
  headers[`x-ratelimit-remaining-${what}`] = String(remaining);
  headers[`x-ratelimit-reset-${what}`] = durationText(resetMs);
}

/** In OpenAI's way: `6m0s`, `1.5s`, `12ms`. */
function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 10) / 100;
  if (seconds < 60) return `${seconds}s`;
  return `${Math.floor(seconds / 60)}m${Math.ceil(seconds % 60)}s`;
}
