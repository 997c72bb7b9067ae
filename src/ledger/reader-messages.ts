import type { UsageGroup, UsageQuery } from '../api/usage-reader.ts';
import type { SpentTotals } from './spent.ts';

/** What may be asked of the ledger, and what comes of it. */
export interface Questions {
  readonly usage: { readonly asked: UsageQuery; readonly answer: readonly UsageGroup[] };
  readonly spent: { readonly asked: number; readonly answer: SpentTotals };
}

export interface ToReader {
  readonly id: number;
  readonly question: keyof Questions;
  readonly asked: Questions[keyof Questions]['asked'];
}

export type FromReader =
  | { readonly id: number; readonly answer: Questions[keyof Questions]['answer'] }
  | { readonly id: number; readonly problem: string };
