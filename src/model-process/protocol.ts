import type { ProviderInfo } from './provider-info.ts';

/** What every model process is told, whatever kind of model it holds. */
export type Command<Load> =
  | { readonly type: 'load'; readonly options: Load }
  | { readonly type: 'ping' }
  | { readonly type: 'shutdown' };

/** The model cannot be loaded; the process ends. `permanent`: trying again will not help until a file or a setting changes. */
export interface LoadFailed {
  readonly type: 'failed';
  readonly detail: string;
  readonly permanent: boolean;
}

/** What every model process says. */
export type Report<Info> =
  | { readonly type: 'ready'; readonly info: Info }
  | LoadFailed
  | { readonly type: 'pong' };

/** What a process says of the model that it has loaded, as far as operators are told of it. */
interface LoadedModelInfo extends Partial<ProviderInfo> {
  readonly architecture: string;
  readonly contextTokens: number;
  readonly threads: number;
  /** Storage types of weights that were changed on the way to 8 bit. */
  readonly requantised?: readonly string[];
}

/** The messages of one kind of process. */
export interface SupervisorProtocol {
  /** The options of `load`. */
  readonly load: object;
  /** What `ready` tells. */
  readonly info: LoadedModelInfo;
  /** Everything that the process may be sent. */
  readonly to: object;
  /** Everything that it may send. */
  readonly from: object;
}
