import type { BackendHealth } from '../core/backend.ts';

/** An engine as a local model needs it: one that generates or one that encodes. */
export interface Engine {
  /** Settles at the first success or failure to load. */
  readonly ready: Promise<void>;
  readonly pid: number | undefined;
  /** Monotonic milliseconds; undefined while it is not ready. */
  readonly readySinceMs: number | undefined;
  info(): EngineFacts | undefined;
  health(): BackendHealth;
  close(): Promise<void>;
}

/** What a loaded engine says of itself; encoders have neither slots nor KV memory. */
export interface EngineFacts {
  readonly architecture: string;
  readonly contextTokens: number;
  readonly threads: number;
  /** Right after loading, with the KV memory untouched. */
  readonly rssBytes: number;
  readonly slots?: number;
  readonly kvBytes?: number;
  readonly prefixCacheBytes?: number;
  /** Of encoders: what a full batch takes. */
  readonly activationBytes?: number;
  /** Where it computes; not all engines tell. */
  readonly provider?: string;
  /** Better ones, each with the reason why it was not taken. */
  readonly providersPassedOver?: readonly string[];
}

/** All that its process may come to take: as measured, with all of its KV memory and its prompt cache in use, or with a full batch. */
export function mostBytes(facts: EngineFacts): number {
  const { rssBytes, kvBytes = 0, prefixCacheBytes = 0, activationBytes = 0 } = facts;
  return rssBytes + kvBytes + prefixCacheBytes + activationBytes;
}
