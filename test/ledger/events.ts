import type { Caller } from '../../src/core/caller.ts';
import type { AttemptRecord, RequestAdmitted, RequestSettled } from '../../src/core/event.ts';
import type { OldRow } from '../../src/ledger/old-row.ts';
import type { AttemptRow } from '../../src/ledger/row.ts';

const NOTHING = { promptTokens: 0, completionTokens: 0, cachedPromptTokens: 0, reasoningTokens: 0 };

export function callerOf(n: number): Caller {
  return {
    keyId: `key_${n}`,
    projectId: `proj_${n % 3}`,
    organizationId: 'org_1',
    role: 'user',
    weight: 1,
    priority: 0,
    demands: {},
    limits: { key: {}, project: {}, organization: {} },
  };
}

/** A try that failed, `tokens` of an answer, and a hedge that lost, as far as `tokens` says. */
export function attemptsOf(tokens: number): AttemptRecord[] {
  const common = { backend: 'b', deployment: 'b/m', durationMs: 12.5 };
  const answered: AttemptRecord = {
    ...common,
    kind: 'first',
    code: undefined,
    lost: false,
    usage: { ...NOTHING, promptTokens: 100, completionTokens: tokens },
    costNanoUsd: 100_000 + 2_000 * tokens,
    wasteNanoUsd: 0,
  };
  if (tokens % 3 === 0) return [answered];
  const failed = { ...answered, code: 'upstream_error' as const, usage: NOTHING, costNanoUsd: 0 };
  if (tokens % 3 === 1) return [failed, { ...answered, kind: 'retry' }];
  const lost = { ...failed, code: undefined, kind: 'hedge' as const, lost: true, wasteNanoUsd: 777 };
  return [answered, lost];
}

const serials: string[] = [];

/** The same for the same request. */
function serialOf(settlementId: string): number {
  const known = serials.indexOf(settlementId);
  return known < 0 ? serials.push(settlementId) - 1 : known;
}

export function admitted(settlementId: string, caller: Caller, tokens: () => number): RequestAdmitted {
  const head = {
    settlementId,
    serial: serialOf(settlementId),
    requestId: 'req_same',
    caller,
    endpoint: 'chat',
    model: 'm',
  };
  return { type: 'request-admitted', ...head, soFar: () => attemptsOf(tokens()) };
}

export function settled(settlementId: string, caller: Caller, tokens: number): RequestSettled {
  const attempts = attemptsOf(tokens);
  const answered = attempts.find(({ code, lost }) => code === undefined && !lost)!;
  return {
    type: 'request-settled',
    settlementId,
    serial: serialOf(settlementId),
    requestId: 'req_same',
    caller,
    endpoint: 'chat',
    model: 'm',
    stream: true,
    outcome: tokens % 5 === 0 ? 'cancelled' : 'ok',
    status: 200,
    code: undefined,
    cause: undefined,
    deployment: 'b/m',
    attempts,
    durationMs: 20,
    queuedMs: 0,
    ttftMs: 1,
    tpotMs: 1,
    usage: answered.usage,
    decision: undefined,
    usageMeasured: true,
    costNanoUsd: answered.costNanoUsd,
  };
}

/** As gateways wrote it before there was the table `attempt`. */
export function asOld(row: AttemptRow): OldRow {
  const { label } = row;
  return [
    ...([
      `${row.settlementId}.${row.number}`,
      row.atMs,
      label.organizationId,
      label.projectId,
      label.keyId,
    ] as const),
    ...([
      row.requestId,
      label.endpoint,
      label.model,
      label.deployment || null,
      label.kind,
      label.outcome,
    ] as const),
    ...([
      label.measured,
      row.promptTokens,
      row.cachedTokens,
      row.completionTokens,
      row.reasoningTokens,
    ] as const),
    ...([row.costNanoUsd, row.wasteNanoUsd, row.durationMs] as const),
  ];
}
