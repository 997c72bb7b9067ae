import { isAbandonment } from '../core/abandonment.ts';
import type { Caller } from '../core/caller.ts';
import type { AttemptRecord, RequestAdmitted, RequestSettled } from '../core/event.ts';

/**
 * What became of an attempt: the client got all of it; it broke off, or the client left; it failed and brought nothing; another attempt was
 * answered first; the gateway itself was killed.
 */
export type AttemptOutcome = 'delivered' | 'aborted' | 'failed' | 'lost' | 'interrupted';

/** A row of the ledger, in the order of its columns: id, time, whose, what for, how it went, how much. It travels as JSON. */
export type LedgerRow = readonly [
  id: string,
  atMs: number,
  organizationId: string,
  projectId: string,
  keyId: string,
  requestId: string,
  endpoint: string,
  model: string,
  deployment: string | null,
  kind: AttemptRecord['kind'],
  outcome: AttemptOutcome,
  measured: 0 | 1,
  promptTokens: number,
  cachedTokens: number,
  completionTokens: number,
  reasoningTokens: number,
  costNanoUsd: number,
  wasteNanoUsd: number,
  durationMs: number,
];

/** Whose request it is, and what for. */
interface Head {
  readonly settlementId: string;
  readonly requestId: string;
  readonly caller: Caller;
  readonly endpoint: string;
  readonly model: string | undefined;
}

export type SettledWithCaller = RequestSettled & { readonly caller: Caller };

/** One row for each attempt of a request that has ended. */
export function settledRows(event: SettledWithCaller, atMs: number): LedgerRow[] {
  const { attempts, outcome, usageMeasured } = event;
  return attempts.map((attempt, i) => rowOf(event, attempt, i, answeredAs(outcome), usageMeasured, atMs));
}

/** The same for one that has not: as it would have to be taken if nothing more were ever heard of it. */
export function rowsSoFar(event: RequestAdmitted, atMs: number): LedgerRow[] {
  const attempts = event.soFar();
  if (attempts.length === 0) return [rowWithoutAttempt(event, atMs)];
  return attempts.map((attempt, i) => rowOf(event, attempt, i, 'interrupted', false, atMs));
}

/** Nothing has been answered yet. */
function rowWithoutAttempt(
  { settlementId, requestId, caller, endpoint, model }: Head,
  atMs: number,
): LedgerRow {
  const { organizationId, projectId, keyId } = caller;
  const whose = [`${settlementId}.0`, atMs, organizationId, projectId, keyId, requestId] as const;
  return [...whose, endpoint, model ?? '', null, 'first', 'interrupted', 0, 0, 0, 0, 0, 0, 0, 0];
}

function rowOf(
  { settlementId, requestId, caller, endpoint, model }: Head,
  { deployment, kind, code, lost, usage, costNanoUsd, wasteNanoUsd, durationMs }: AttemptRecord,
  index: number,
  answered: AttemptOutcome,
  measured: boolean,
  atMs: number,
): LedgerRow {
  return [
    `${settlementId}.${index}`,
    atMs,
    caller.organizationId,
    caller.projectId,
    caller.keyId,
    requestId,
    endpoint,
    model ?? '',
    deployment,
    kind,
    outcomeOf(code, lost, answered),
    measured && !lost && code === undefined ? 1 : 0,
    whole(usage.promptTokens),
    whole(usage.cachedPromptTokens),
    whole(usage.completionTokens),
    whole(usage.reasoningTokens),
    whole(costNanoUsd),
    whole(wasteNanoUsd),
    whole(Math.round(durationMs)),
  ];
}

function outcomeOf(code: AttemptRecord['code'], lost: boolean, answered: AttemptOutcome): AttemptOutcome {
  if (lost) return 'lost';
  if (code === undefined) return answered;
  return isAbandonment(code) ? 'aborted' : 'failed';
}

function answeredAs(outcome: RequestSettled['outcome']): AttemptOutcome {
  return outcome === 'ok' ? 'delivered' : 'aborted';
}

/** Whatever an upstream has said: the ledger has whole numbers that add up. */
function whole(amount: number): number {
  return Number.isSafeInteger(amount) && amount > 0 ? amount : 0;
}
