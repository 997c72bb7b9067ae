import type { Caller } from './caller.ts';
import type { Decision } from './decision.ts';
import type { Canary } from './deployment.ts';
import type { ErrorCode } from './error.ts';
import type { Usage } from './usage.ts';

export type Outcome = 'ok' | 'error' | 'cancelled';

/** Why an attempt was made. */
export type AttemptKind = 'first' | 'retry' | 'hedge';

/** One attempt at one deployment. */
export interface AttemptRecord {
  readonly deployment: string;
  readonly backend: string;
  readonly kind: AttemptKind;
  readonly code: ErrorCode | undefined;
  /** Cancelled, because another attempt at the same request was answered first. */
  readonly lost: boolean;
  /** Until the reply began or the attempt failed. */
  readonly durationMs: number;
  /** Of what was delivered to the client; of an attempt that was not answered: zero. */
  readonly usage: Usage;
  /** The client's to pay, for what was delivered: whole nano-dollars. */
  readonly costNanoUsd: number;
  /** What work that nobody got may have cost the operator, as far as can be told: whole nano-dollars. */
  readonly wasteNanoUsd: number;
}

/** A request with a caller has been admitted: what has been set aside for it is settled by the `request-settled` of the same id. */
export interface RequestAdmitted {
  readonly type: 'request-admitted';
  /** Unlike `requestId` it is the gateway's own, and unique. */
  readonly settlementId: string;
  /** Among the requests of this process, also in its `request-settled`. */
  readonly serial: number;
  readonly requestId: string;
  readonly caller: Caller;
  readonly endpoint: string;
  readonly model: string;
  /** The attempts as they would be settled now. */
  readonly soFar: () => readonly AttemptRecord[];
}

/** The stream for a request with a caller has begun: what has come of it is on its way to the client, or about to be. */
export interface RequestBegun {
  readonly type: 'request-begun';
  /** That of its `request-admitted`. */
  readonly serial: number;
}

/** Emitted once per request, whatever ended it. Never contains content. */
export interface RequestSettled {
  readonly type: 'request-settled';
  /** Unlike `requestId`, which clients choose, it is the gateway's own, and unique. */
  readonly settlementId: string;
  /** Among the requests of this process. */
  readonly serial: number;
  readonly requestId: string;
  /** Undefined: nobody needs a key. */
  readonly caller: Caller | undefined;
  readonly endpoint: string;
  /** The public model name if it exists, else undefined: never a string that a client invented. */
  readonly model: string | undefined;
  readonly stream: boolean;
  readonly outcome: Outcome;
  readonly status: number;
  readonly code: ErrorCode | undefined;
  /** For logs only. */
  readonly cause: unknown;
  readonly deployment: string | undefined;
  readonly attempts: readonly AttemptRecord[];
  readonly durationMs: number;
  /** Time spent waiting for a deployment to have room. */
  readonly queuedMs: number;
  readonly ttftMs: number | undefined;
  /** Mean time per output token after the first. */
  readonly tpotMs: number | undefined;
  readonly usage: Usage;
  /** How it came to its deployments; undefined: it never got so far. */
  readonly decision: Decision | undefined;
  /** The backend measured `usage`; false: it was counted from what was delivered. */
  readonly usageMeasured: boolean;
  /** Of all attempts, the client's to pay: whole nano-dollars. */
  readonly costNanoUsd: number;
}

/** A request that was turned away before it had a model: bad input, unknown route, too large. */
export interface RequestRefused {
  readonly type: 'request-refused';
  readonly requestId: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly param: string | undefined;
  /** For logs only. */
  readonly cause: unknown;
}

/** A decode step of a local engine. */
export interface EngineStepped {
  readonly type: 'engine-stepped';
  readonly engine: string;
  readonly batchSize: number;
  readonly waiting: number;
  readonly decodeMs: number;
  readonly prefillTokens: number;
  /** Prompt tokens copied instead of computed. */
  readonly cachedTokens: number;
  /** Tokens guessed and checked, and those among them that were drawn. */
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  /** What the prefix cache holds. */
  readonly prefixCacheBytes: number;
}

/** A batch of a local encoder. */
export interface EncoderBatched {
  readonly type: 'encoder-batched';
  readonly encoder: string;
  /** Inputs encoded together, of any number of requests. */
  readonly inputs: number;
  readonly tokens: number;
  /** Computed for nothing: what the shorter inputs were filled up with. */
  readonly paddingTokens: number;
  readonly durationMs: number;
}

export interface EngineStateChanged {
  readonly type: 'engine-state-changed';
  readonly engine: string;
  readonly state: 'starting' | 'ready' | 'down' | 'closed';
  readonly detail: string;
  /** Where it computes, once it is ready. */
  readonly provider?: string;
}

export interface UpstreamHealthChanged {
  readonly type: 'upstream-health-changed';
  readonly upstream: string;
  readonly healthy: boolean;
  readonly detail: string;
}

/** The models that the configuration wants from an upstream and that it does not list have changed. */
export interface UpstreamModelsMissing {
  readonly type: 'upstream-models-missing';
  readonly upstream: string;
  /** Empty: all are there now. */
  readonly missing: readonly string[];
}

/** An upstream refuses to list its models, or no longer does. */
export interface UpstreamListingChanged {
  readonly type: 'upstream-listing-changed';
  readonly upstream: string;
  /** Undefined: none any more. */
  readonly problem: { readonly detail: string; readonly fix: string } | undefined;
}

/** The servers found under an upstream's name have changed, or cannot be asked for any more. */
export interface UpstreamMembersChanged {
  readonly type: 'upstream-members-changed';
  readonly upstream: string;
  /** `address:port` */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Why there was no answer; the servers known before stay. */
  readonly problem: string | undefined;
}

/** The configuration has been read again. */
export interface ConfigReloaded {
  readonly type: 'config-reloaded';
  readonly ok: boolean;
  /** Why it was refused, or what changed. */
  readonly detail: string;
  /** Settings that differ and need a restart. */
  readonly ignored: readonly string[];
}

/** A local model has come into memory, has left it, or found no room there. */
export interface LocalModelChanged {
  readonly type: 'local-model-changed';
  readonly model: string;
  readonly change: 'loaded' | 'unloaded' | 'refused';
  /** Who wanted it: the start of the gateway, a request, an operator; the time without requests; room for another model. */
  readonly reason: 'start' | 'request' | 'operator' | 'idle' | 'room';
  readonly detail: string;
}

/** The configuration asks for more than a local model can do; it serves with less. */
export interface EngineSettingReduced {
  readonly type: 'engine-setting-reduced';
  readonly engine: string;
  readonly setting: string;
  readonly configured: number;
  readonly used: number;
}

/** A local model may come to take more than its configuration allows its process, which is then ended. */
export interface EngineLimitLow {
  readonly type: 'engine-limit-low';
  readonly engine: string;
  readonly memoryLimitBytes: number;
  readonly expectedBytes: number;
}

/** A canary does worse than the other deployments of its model, and gets no more requests. */
export interface CanaryRolledBack {
  readonly type: 'canary-rolled-back';
  readonly model: string;
  readonly deployment: string;
  /** What it was tried with. */
  readonly canary: Canary;
  readonly reason: 'errors' | 'latency';
  readonly detail: string;
}

/** An operator has put a canary on trial again. */
export interface CanaryResumed {
  readonly type: 'canary-resumed';
  readonly model: string;
  readonly deployment: string;
}

/** A copy of a request has been answered for nobody, or could not be. It is no request: nothing else counts it. */
export interface ShadowSettled {
  readonly type: 'shadow-settled';
  readonly model: string;
  readonly deployment: string;
  /** `dropped`: not sent, because its deployment was not ready or had enough copies. */
  readonly outcome: 'ok' | 'failed' | 'dropped' | 'cancelled';
  /** For logs only. */
  readonly cause?: unknown;
}

/** A budget has reached a share of itself: once for each subject, period and share. */
export interface BudgetAlarmRaised {
  readonly type: 'budget-alarm-raised';
  readonly subject: 'key' | 'project' | 'organization';
  readonly subjectId: string;
  readonly period: 'day' | 'month';
  /** 0 to 1. */
  readonly share: number;
  readonly budgetNanoUsd: number;
  readonly spentNanoUsd: number;
}

export type GatewayEvent =
  | BudgetAlarmRaised
  | RequestAdmitted
  | RequestBegun
  | RequestSettled
  | RequestRefused
  | EngineStepped
  | EncoderBatched
  | EngineStateChanged
  | UpstreamHealthChanged
  | UpstreamModelsMissing
  | UpstreamListingChanged
  | UpstreamMembersChanged
  | ConfigReloaded
  | LocalModelChanged
  | EngineSettingReduced
  | EngineLimitLow
  | CanaryRolledBack
  | CanaryResumed
  | ShadowSettled;

/** The one outlet for telemetry. Must not throw. */
export type Emit = (event: GatewayEvent) => void;
