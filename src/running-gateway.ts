import type { KeyNews } from './access/key-news.ts';
import type { UpstreamReport, WorkerReport } from './api/admin/upstream-report.ts';
import type { Readiness } from './api/operations.ts';
import type { CanaryRolledBack } from './core/event.ts';
import type { ModelPaths } from './fleet/fleet.ts';
import type { FetchModel } from './fleet/model-admin.ts';
import type { LoadedConfig } from './fleet/reloader.ts';
import type { Gateway } from './gateway/gateway.ts';
import type { DatabaseLocation } from './store/location.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';
import type { Resolver } from './upstream/resolver.ts';

export interface StartOptions {
  readonly logger?: Logger;
  readonly modelPaths?: ModelPaths;
  /** Where operators name models of the catalogue. Default: they give paths. */
  readonly fetchModel?: FetchModel;
  /** Default: the system's. */
  readonly resolver?: Resolver;
  /** Replaces the process's own metrics where it is one of several. */
  readonly scrape?: Metrics['scrape'];
  /** The upstreams as every process sees them, where it is one of several. */
  readonly everywhere?: () => Promise<readonly WorkerReport[]>;
  /** What operators have said about upstreams before. */
  readonly drains?: readonly { readonly name: string; readonly drained: boolean }[];
  /** An operator has said something about an upstream. */
  readonly onDrained?: (name: string, drained: boolean) => void;
  /** An operator has put a deployment on trial again. */
  readonly onCanaryResumed?: (deployment: string) => void;
  /** A deployment on trial does worse than the others. */
  readonly onCanaryRolledBack?: (found: CanaryRolledBack) => void;
  /** What other processes of this machine have opened. Default: what the configuration says. */
  readonly database?: DatabaseLocation | undefined;
  /** What other processes of this machine have read of keys so far. */
  readonly keyNews?: readonly KeyNews[];
  /** Something about a key was read here. */
  readonly onKeyNews?: (news: KeyNews) => void;
}

export interface RunningGateway {
  /** Base URL, such as http://127.0.0.1:8080 */
  readonly url: string;
  readonly gateway: Gateway;
  /** What it has opened. */
  readonly database: DatabaseLocation;
  /** Requests that have ended so far, or were refused. */
  ended(): number;
  /** Resolves when every engine is ready or has failed for the first time. */
  readonly enginesSettled: Promise<void>;
  readiness(): Readiness;
  snapshot: Metrics['snapshot'];
  /** As this process sees them. */
  upstreams(): UpstreamReport;
  setDrained(upstream: string, drained: boolean): void;
  /** What another process of this machine has read. */
  hearOfKeys(news: KeyNews): void;
  /** Goes on with another configuration; running replies are not touched. Resolves to false if it was refused, which is logged. */
  reload(load: () => Promise<LoadedConfig>): Promise<boolean>;
  /** Lets running requests finish within the configured time, then ends everything. Resolves to the number it cut off. */
  drain(): Promise<number>;
  /** Ends at once. */
  close(): Promise<void>;
}
