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

/** Of the ledger's table, in the order of `LedgerRow`. */
export const COLUMNS = [
  ['id', 'text'],
  ['at_ms', 'bigint'],
  ['organization_id', 'text'],
  ['project_id', 'text'],
  ['key_id', 'text'],
  ['request_id', 'text'],
  ['endpoint', 'text'],
  ['model', 'text'],
  ['deployment', 'text'],
  ['kind', 'text'],
  ['outcome', 'text'],
  ['measured', 'integer'],
  ['prompt_tokens', 'bigint'],
  ['cached_tokens', 'bigint'],
  ['completion_tokens', 'bigint'],
  ['reasoning_tokens', 'bigint'],
  ['cost_nano_usd', 'bigint'],
  ['waste_nano_usd', 'bigint'],
  ['duration_ms', 'bigint'],
] as const;

/** A row that the database will not take, however often it is asked. */
export interface RefusedRow {
  readonly row: LedgerRow;
  readonly reason: string;
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

/** A `LedgerRow` for each attempt of a request that has ended, as JSON with commas between them. */
export function settledRows(event: SettledWithCaller, atMs: number): string {
  const { attempts, outcome, usageMeasured } = event;
  return rowsOf(event, attempts, answeredAs(outcome), usageMeasured, atMs);
}

/** The same for one that has not: as it would have to be taken if nothing more were ever heard of it. */
export function rowsSoFar(event: RequestAdmitted, atMs: number): string {
  const attempts = event.soFar();
  if (attempts.length === 0) return `${head(event, 0, atMs)},null,"first","interrupted",0,0,0,0,0,0,0,0]`;
  return rowsOf(event, attempts, 'interrupted', false, atMs);
}

function rowsOf(
  event: Head,
  attempts: readonly AttemptRecord[],
  answered: AttemptOutcome,
  measured: boolean,
  atMs: number,
): string {
  let rows = '';
  for (const [i, attempt] of attempts.entries()) {
    const { deployment, kind, code, lost, usage, costNanoUsd, wasteNanoUsd, durationMs } = attempt;
    const outcome = lost ? 'lost' : code === undefined ? answered : unanswered(attempt);
    const { promptTokens, cachedPromptTokens, completionTokens, reasoningTokens } = usage;
    // Written out: it happens for every request, and is faster than to have an array of it turned into JSON.
    rows +=
      `${i === 0 ? '' : ','}${head(event, i, atMs)},${quoted(deployment)},"${kind}","${outcome}",` +
      `${measured && !lost && code === undefined ? 1 : 0},${whole(promptTokens)},${whole(cachedPromptTokens)},` +
      `${whole(completionTokens)},${whole(reasoningTokens)},${whole(costNanoUsd)},${whole(wasteNanoUsd)},${whole(Math.round(durationMs))}]`;
  }
  return rows;
}

/** Up to the model. */
function head(
  { settlementId, requestId, caller, endpoint, model }: Head,
  index: number,
  atMs: number,
): string {
  return `[${quoted(`${settlementId}.${index}`)},${atMs},${whose(caller)},${quoted(requestId)},${quoted(endpoint)},${quoted(model ?? '')}`;
}

/** Callers stay the same objects from request to request. */
const texts = new WeakMap<Caller, string>();

function whose(caller: Caller): string {
  let text = texts.get(caller);
  if (text === undefined) {
    const { organizationId, projectId, keyId } = caller;
    text = `${quoted(organizationId)},${quoted(projectId)},${quoted(keyId)}`;
    texts.set(caller, text);
  }
  return text;
}

function quoted(text: string): string {
  return /^[\w .:/-]*$/.test(text) ? `"${text}"` : JSON.stringify(text);
}

function answeredAs(outcome: RequestSettled['outcome']): AttemptOutcome {
  return outcome === 'ok' ? 'delivered' : 'aborted';
}

/** Who leaves a server at work for it pays for the prompt that it was reading. */
function unanswered({ code, usage, costNanoUsd }: AttemptRecord): AttemptOutcome {
  return isAbandonment(code) && (costNanoUsd > 0 || usage.promptTokens > 0) ? 'aborted' : 'failed';
}

/** Whatever an upstream has said: the ledger has whole numbers that add up. */
function whole(amount: number): number {
  return Number.isSafeInteger(amount) && amount > 0 ? amount : 0;
}
