import type { Config } from '../../config/schema.ts';
import type { KeyNews } from '../access/key-news.ts';
import type { UpstreamReport, WorkerReport } from '../api/admin/upstream-report.ts';
import type { CanaryRolledBack } from '../core/event.ts';
import type { DatabaseLocation } from '../store/location.ts';
import type { MetricsSnapshot } from '../telemetry/aggregate.ts';
import type { Scrape } from '../telemetry/metrics.ts';

/** What an operator has said about an upstream. */
export interface DrainOrder {
  readonly name: string;
  readonly drained: boolean;
}

export type ToWorker =
  | {
      readonly type: 'start';
      readonly config: Config;
      /** What the first of them has opened: no other file that has come to have its name meanwhile. */
      readonly database: DatabaseLocation | undefined;
      readonly drains: readonly DrainOrder[];
      readonly rollBacks: readonly CanaryRolledBack[];
      readonly keyNews: readonly KeyNews[];
    }
  | { readonly type: 'reload'; readonly config: Config }
  | { readonly type: 'reload-refused'; readonly detail: string }
  | { readonly type: 'drain-upstream'; readonly order: DrainOrder }
  | { readonly type: 'roll-back-canary'; readonly found: CanaryRolledBack }
  | { readonly type: 'resume-canary'; readonly deployment: string }
  | { readonly type: 'key-news'; readonly news: KeyNews }
  | { readonly type: 'measure'; readonly id: number }
  | { readonly type: 'show-upstreams'; readonly id: number }
  | { readonly type: 'scraped'; readonly id: number; readonly scrape: Scrape }
  | { readonly type: 'all-upstreams'; readonly id: number; readonly workers: readonly WorkerReport[] }
  /** In place of one of the two. */
  | { readonly type: 'not-collected'; readonly asked: 'scrape' | 'look-everywhere'; readonly id: number }
  | { readonly type: 'ping' }
  | { readonly type: 'stop' };

export type FromWorker =
  | { readonly type: 'listening'; readonly url: string; readonly database: DatabaseLocation }
  | { readonly type: 'failed'; readonly detail: string }
  | { readonly type: 'drain-upstream'; readonly order: DrainOrder }
  | { readonly type: 'roll-back-canary'; readonly found: CanaryRolledBack }
  | { readonly type: 'resume-canary'; readonly deployment: string }
  | { readonly type: 'key-news'; readonly news: KeyNews }
  | { readonly type: 'measured'; readonly id: number; readonly snapshot: MetricsSnapshot }
  | { readonly type: 'scrape'; readonly id: number }
  | { readonly type: 'upstreams'; readonly id: number; readonly report: UpstreamReport | undefined }
  | { readonly type: 'look-everywhere'; readonly id: number }
  | { readonly type: 'pong' }
  | { readonly type: 'stopped'; readonly cut: number };
