import type { Command } from 'commander';
import { usdText } from '../api/usd.ts';
import type { Limits } from '../core/caller.ts';
import type { RouteDemands } from '../core/demands.ts';
import type { TermsChange } from '../store/terms.ts';
import { decimal, list, nanoUsd, orNone, wholeNumber } from './flag-values.ts';

/** Of organizations, projects and keys alike. */
export interface TermsFlags {
  readonly rpm?: number | 'none';
  readonly tpm?: number | 'none';
  readonly concurrency?: number | 'none';
  readonly usdPerDay?: number | 'none';
  readonly usdPerMonth?: number | 'none';
  readonly privacy?: 'local' | 'private' | 'public' | 'none';
  readonly regions?: readonly string[] | 'none';
  readonly maxCostUsd?: number | 'none';
}

export function withTermsOptions(command: Command): Command {
  return command
    .option('--rpm <number>', 'requests a minute', orNone(wholeNumber))
    .option('--tpm <number>', 'tokens a minute, prompt and output together', orNone(wholeNumber))
    .option('--concurrency <number>', 'requests at the same time', orNone(wholeNumber))
    .option('--usd-per-day <usd>', 'money a day, by UTC', orNone(nanoUsd))
    .option('--usd-per-month <usd>', 'money a calendar month, by UTC', orNone(nanoUsd))
    .option('--privacy <class>', 'who may see the text at most: local, private or public', orNone(String))
    .option('--regions <list>', 'the only regions that may serve', orNone(list))
    .option('--max-cost-usd <usd>', 'what one request may be expected to cost', orNone(decimal));
}

export function termsChange(flags: TermsFlags): Required<Pick<TermsChange, 'limits' | 'demands'>> {
  return {
    limits: {
      requestsPerMinute: change(flags.rpm),
      tokensPerMinute: change(flags.tpm),
      concurrency: change(flags.concurrency),
      nanoUsdPerDay: change(flags.usdPerDay),
      nanoUsdPerMonth: change(flags.usdPerMonth),
    },
    demands: {
      privacy: change(flags.privacy),
      regions: change(flags.regions),
      maxCostUsd: change(flags.maxCostUsd),
    },
  };
}

function change<T>(flag: T | 'none' | undefined): T | null | undefined {
  return flag === 'none' ? null : flag;
}

/** For people; `-`: none. */
export function limitsText(limits: Limits): string {
  const usd = (nano: number) => `${usdText(nano)} USD`;
  const { requestsPerMinute, tokensPerMinute, concurrency, nanoUsdPerDay, nanoUsdPerMonth } = limits;
  const parts = [
    requestsPerMinute !== undefined && `${requestsPerMinute} requests/min`,
    tokensPerMinute !== undefined && `${tokensPerMinute} tokens/min`,
    concurrency !== undefined && `${concurrency} at once`,
    nanoUsdPerDay !== undefined && `${usd(nanoUsdPerDay)}/day`,
    nanoUsdPerMonth !== undefined && `${usd(nanoUsdPerMonth)}/month`,
  ];
  return parts.filter(Boolean).join(', ') || '-';
}

/** For people; `-`: none. */
export function demandsText({ privacy, regions, maxCostUsd }: RouteDemands): string {
  const parts = [
    privacy,
    regions?.join('|'),
    maxCostUsd !== undefined && `at most ${maxCostUsd} USD a request`,
  ];
  return parts.filter(Boolean).join(', ') || '-';
}
