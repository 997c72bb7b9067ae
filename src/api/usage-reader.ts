/** What usage is grouped by. `deployment` shows attempts, the others requests as well. */
export type UsageDimension = 'organization' | 'project' | 'key' | 'model' | 'endpoint' | 'deployment';

export type UsageBucket = 'minute' | 'hour' | 'day';

export interface UsageQuery {
  /** Unix milliseconds: rows from here… */
  readonly fromMs: number;
  /** …to before here. */
  readonly toMs: number;
  /** Also grouped by time, in UTC. Undefined: the whole time is one group. */
  readonly bucket?: UsageBucket | undefined;
  readonly groupBy: readonly UsageDimension[];
  /** Only rows whose value is one of these, by dimension; none: no rows. */
  readonly only: { readonly [D in UsageDimension]?: readonly string[] | undefined };
  /** Most groups to return. */
  readonly maxGroups: number;
}

/** What was used in one bucket of time by one combination of the dimensions asked for. */
export interface UsageGroup {
  /** Of the bucket, Unix milliseconds; of the whole time without buckets. */
  readonly startMs: number;
  /** Those asked for. Null: a request that got no further. */
  readonly by: Readonly<Partial<Record<UsageDimension, string | null>>>;
  readonly requests: number;
  /** Also hedges and retries. */
  readonly attempts: number;
  /** Cached ones among them. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Reasoning among them. */
  readonly completionTokens: number;
  readonly reasoningTokens: number;
  readonly costNanoUsd: number;
  /** What work that nobody got cost the operator. */
  readonly wasteNanoUsd: number;
}

/** Reads the ledger. */
export interface UsageReader {
  /** By time, then by the dimensions in the order asked for. @throws Error where the database cannot be asked */
  usage(query: UsageQuery): Promise<readonly UsageGroup[]>;
}
