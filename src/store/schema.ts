/** The tables. Times are Unix milliseconds, money is whole nano-dollars, lists and demands are JSON; null: none. */
export interface Schema {
  readonly schema_migration: SchemaMigrationTable;
  readonly key_revision: KeyRevisionTable;
  readonly organization: OrganizationTable;
  readonly project: ProjectTable;
  readonly api_key: ApiKeyTable;
  readonly api_key_secret: ApiKeySecretTable;
  readonly ledger: LedgerTable;
  readonly attempt_label: AttemptLabelTable;
  readonly attempt: AttemptTable;
  readonly attempt_day: AttemptDayTable;
  readonly every_attempt: EveryAttemptView;
  readonly spent: SpentTable;
  readonly budget_alarm: BudgetAlarmTable;
}

interface SchemaMigrationTable {
  number: number;
  name: string;
  applied_at_ms: number;
}

/** One row: it grows with every change of the tables below, so that gateways notice. */
interface KeyRevisionTable {
  id: number;
  revision: number;
}

export interface LimitColumns {
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  concurrency: number | null;
  nano_usd_per_day: number | null;
  nano_usd_per_month: number | null;
}

export interface OwnerColumns extends LimitColumns {
  id: string;
  name: string;
  /** `RouteDemands` */
  demands: string;
  created_at_ms: number;
}

export interface OrganizationTable extends OwnerColumns {
  archived_at_ms: number | null;
}

export interface ProjectTable extends OwnerColumns {
  organization_id: string;
  weight: number;
  priority: number;
  archived_at_ms: number | null;
}

export interface ApiKeyTable extends OwnerColumns {
  project_id: string;
  role: string;
  models: string | null;
  endpoints: string | null;
  expires_at_ms: number | null;
  revoked_at_ms: number | null;
}

/** A key has one secret, and while it is rotated more. */
export interface ApiKeySecretTable {
  /** SHA-256, 32 bytes. */
  hash: Buffer;
  key_id: string;
  created_at_ms: number;
  expires_at_ms: number | null;
}

/** What one attempt used and cost, and what for. */
interface EveryAttemptView extends AttemptAmounts {
  /** `SETTLEMENT.ATTEMPT` */
  id: string;
  at_ms: number;
  organization_id: string;
  project_id: string;
  key_id: string;
  request_id: string;
  endpoint: string;
  model: string;
  deployment: string | null;
  /** `first` once per request, `retry`, `hedge`. */
  kind: string;
  outcome: string;
  /** 1: the backend measured the tokens; 0: they were counted. */
  measured: number;
}

interface AttemptAmounts {
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  reasoning_tokens: number;
  cost_nano_usd: number;
  waste_nano_usd: number;
  duration_ms: number;
}

/** What gateways have written, and may still, that know of no `attempt`. Writing a row twice changes nothing, here and there. */
interface LedgerTable extends EveryAttemptView {
  /** 1: its cost is in `spent`; 0: not yet. */
  counted: number;
}

interface AttemptTable extends AttemptAmounts {
  /** Of the request. */
  settlement_id: string;
  /** From 0. */
  number: number;
  at_ms: number;
  label_id: number;
  request_id: string;
}

/** Sums of `attempt` by day, which the database itself makes with every row. */
interface AttemptDayTable extends Omit<AttemptAmounts, 'duration_ms'> {
  label_id: number;
  /** In UTC, since 1970-01-01. */
  day: number;
  attempts: number;
}

/** What many attempts have in common. No two are the same, and none ever changes. */
interface AttemptLabelTable {
  id: number;
  organization_id: string;
  project_id: string;
  key_id: string;
  endpoint: string;
  model: string;
  /** Empty: it got to none. */
  deployment: string;
  kind: string;
  outcome: string;
  measured: number;
}

/** Sums of the costs of all attempts, written together with them; of `ledger` those that are counted. */
interface SpentTable {
  /** In UTC: `2026-01-31` or `2026-01`. */
  period: string;
  organization_id: string;
  project_id: string;
  key_id: string;
  model: string;
  /** More than nothing. */
  nano_usd: number;
}

/** An alarm that has gone off. */
interface BudgetAlarmTable {
  subject_kind: string;
  subject_id: string;
  /** `2026-01-31` or `2026-01` */
  period: string;
  /** Of the budget. */
  share: number;
  at_ms: number;
  budget_nano_usd: number;
  spent_nano_usd: number;
  /** When everybody had been told, or nobody tried any more; null: not yet. */
  told_at_ms: number | null;
  /** Until then it is some gateway's affair to tell. */
  held_until_ms: number;
}
