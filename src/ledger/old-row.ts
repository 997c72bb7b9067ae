/**
 * A row of the table `ledger`, in the order of its columns, as gateways wrote it before there was `attempt`. What they have left behind goes there: it
 * is theirs until all are up to date, and one of them may have brought it in already.
 */
export type OldRow = readonly [
  id: string,
  atMs: number,
  organizationId: string,
  projectId: string,
  keyId: string,
  requestId: string,
  endpoint: string,
  model: string,
  deployment: string | null,
  kind: string,
  outcome: string,
  measured: number,
  promptTokens: number,
  cachedTokens: number,
  completionTokens: number,
  reasoningTokens: number,
  costNanoUsd: number,
  wasteNanoUsd: number,
  durationMs: number,
];

/** Of the table, in that order. */
export const OLD_COLUMNS = [
  'id',
  'at_ms',
  'organization_id',
  'project_id',
  'key_id',
  'request_id',
  'endpoint',
  'model',
  'deployment',
  'kind',
  'outcome',
  'measured',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'reasoning_tokens',
  'cost_nano_usd',
  'waste_nano_usd',
  'duration_ms',
] as const;

export function isOldRow<T>(row: T | OldRow): row is OldRow {
  return Array.isArray(row);
}
