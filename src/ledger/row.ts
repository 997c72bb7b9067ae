import { isAbandonment } from '../core/abandonment.ts';
import type { Caller } from '../core/caller.ts';
import type { AttemptRecord, RequestAdmitted, RequestSettled } from '../core/event.ts';
import { type AttemptLabel, type AttemptOutcome, labelOf } from './label.ts';

/** What one attempt used and cost: a row of the ledger. */
export interface AttemptRow {
  /** Of the request. With `number` the row's name. */
  readonly settlementId: string;
  /** Among the request's attempts, from 0. */
  readonly number: number;
  readonly atMs: number;
  readonly requestId: string;
  readonly label: AttemptLabel;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly reasoningTokens: number;
  readonly costNanoUsd: number;
  readonly wasteNanoUsd: number;
  readonly durationMs: number;
}

/** Whose request it is, and what for. */
interface Head {
  readonly settlementId: string;
  readonly requestId: string;
  readonly caller: Caller;
  readonly endpoint: string;
  readonly model: string | undefined;
}

export type SettledWithCaller = RequestSettled & { readonly caller: Caller };

/** A row for each attempt of a request that has ended. */
export function settledRows(event: SettledWithCaller, atMs: number): readonly AttemptRow[] {
  const { attempts, outcome, usageMeasured } = event;
  return rowsOf(event, attempts, answeredAs(outcome), usageMeasured, atMs);
}

/** The same for one that has not ended: what it would count as if nothing more were ever heard of it. */
export function rowsSoFar(event: RequestAdmitted, atMs: number): readonly AttemptRow[] {
  const attempts = event.soFar();
  return attempts.length === 0
    ? [notBegun(event, atMs)]
    : rowsOf(event, attempts, 'interrupted', false, atMs);
}

function notBegun(
  { settlementId, requestId, caller, endpoint, model }: RequestAdmitted,
  atMs: number,
): AttemptRow {
  return {
    settlementId,
    number: 0,
    atMs,
    requestId,
    label: labelOf(caller, endpoint, model, '', 'first', 'interrupted', 0),
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    reasoningTokens: 0,
    costNanoUsd: 0,
    wasteNanoUsd: 0,
    durationMs: 0,
  };
}

function rowsOf(
  { settlementId, requestId, caller, endpoint, model = '' }: Head,
  attempts: readonly AttemptRecord[],
  answered: AttemptOutcome,
  measured: boolean,
  atMs: number,
): readonly AttemptRow[] {
  return attempts.map((attempt, number) => {
    const { deployment, kind, code, lost, usage } = attempt;
    const outcome = lost ? 'lost' : code === undefined ? answered : unanswered(attempt);
    const isMeasured = measured && !lost && code === undefined ? 1 : 0;
    return {
      settlementId,
      number,
      atMs,
      requestId,
      label: labelOf(caller, endpoint, model, deployment, kind, outcome, isMeasured),
      promptTokens: whole(usage.promptTokens),
      cachedTokens: whole(usage.cachedPromptTokens),
      completionTokens: whole(usage.completionTokens),
      reasoningTokens: whole(usage.reasoningTokens),
      costNanoUsd: whole(attempt.costNanoUsd),
      wasteNanoUsd: whole(attempt.wasteNanoUsd),
      durationMs: whole(Math.round(attempt.durationMs)),
    };
  });
}

function answeredAs(outcome: RequestSettled['outcome']): AttemptOutcome {
  return outcome === 'ok' ? 'delivered' : 'aborted';
}

/** A client that leaves a server at work pays for the prompt that it was reading. */
function unanswered({ code, usage, costNanoUsd }: AttemptRecord): AttemptOutcome {
  return isAbandonment(code) && (costNanoUsd > 0 || usage.promptTokens > 0) ? 'aborted' : 'failed';
}

/** Whatever an upstream has said: the ledger has whole numbers that add up. */
function whole(amount: number): number {
  return Number.isSafeInteger(amount) && amount > 0 ? amount : 0;
}
