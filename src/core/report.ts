import type { BackendHealth } from './backend.ts';

/** Seconds-old figures; undefined while nothing was seen. */
export interface LatencyReport {
  readonly count: number;
  readonly p50Ms: number | undefined;
  readonly p95Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

/** What the gateway knows of one backend, for operators. */
export interface BackendReport {
  readonly name: string;
  readonly kind: 'engine' | 'upstream' | 'encoder';
  readonly health: BackendHealth;
  /** Requests that the gateway has there now. */
  readonly inFlight: number;
  /** Of those, how many wait for clients that take nothing, and have left their places to others. */
  readonly lent: number | undefined;
  /** Undefined: the backend queues by itself. */
  readonly limit: number | undefined;
  /** How many may be inside before a tenant above its share has to wait, while others are active. */
  readonly held: number | undefined;
  /** It asked to be left alone, or answers far slower than its peers; 0: neither. */
  readonly coolingMs: number;
  readonly ejectedMs: number;
  readonly ejections: number;
  /** Attempts here after a failed one elsewhere. */
  readonly retries: number;
  /** Second attempts here for replies that were late elsewhere. */
  readonly hedges: { readonly won: number; readonly lost: number };
  /** Time to first token of streams. */
  readonly ttft: LatencyReport;
  /** Mean time per output token of whole requests. */
  readonly tpot: LatencyReport;
}

/** The requests of one project in the line of a model. */
export interface ProjectInLine {
  readonly projectId: string;
  readonly queued: number;
  /** The place in line of one that came now: 1 is served next. */
  readonly position: number;
  /** How long the one that came first has waited. */
  readonly waitedMs: number;
}

/** What the gateway knows of one public model, for operators. */
export interface ModelReport {
  readonly name: string;
  readonly active: number;
  readonly queued: number;
  /** How long the one that came first has waited. */
  readonly queueAgeMs: number;
  /** The tenants with the most in line, the most first. */
  readonly longestQueues: readonly ProjectInLine[];
  /** Retries running now, those that wait for their turn, and how many may run at once. */
  readonly retrying: number;
  readonly retriesWaiting: number;
  readonly retryBudget: number;
  readonly retries: number;
  /** `share`: how many of them had a tenant with more than its share in line while others waited, too. */
  readonly rejected: { readonly full: number; readonly timeout: number; readonly share: number };
  /** `available`: how many may be made now. */
  readonly hedges: { readonly won: number; readonly lost: number; readonly available: number };
}

/** A deployment on trial beside the others of its model. */
export interface CanaryReport {
  readonly model: string;
  readonly deployment: string;
  readonly state: 'on-trial' | 'rolled-back';
  /** Why it was rolled back. */
  readonly detail: string | undefined;
  /** Of the model's requests, now and as configured. */
  readonly share: number;
  readonly configuredShare: number;
  /** Outcomes seen. */
  readonly requests: number;
  /** Of the latest; undefined: none seen. */
  readonly errorRate: number | undefined;
  readonly othersErrorRate: number | undefined;
  /** Median time until a reply begins against the others'. */
  readonly ttftRatio: number | undefined;
}

export interface GatewayReport {
  readonly canaries: readonly CanaryReport[];
  readonly backends: readonly BackendReport[];
  readonly models: readonly ModelReport[];
}
