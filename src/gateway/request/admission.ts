import type { Caller, Limits } from '../../core/caller.ts';
import type { RateStatus } from '../../core/error.ts';

/** What a request may come to use, before anybody knows what it will use. */
export interface AdmissionAsk {
  readonly caller: Caller;
  readonly model: string;
  /** Of the model, for all callers together. */
  readonly modelLimits?: Limits | undefined;
  /** Estimated from its size. */
  readonly tokens: number;
  readonly nanoUsd: number;
  /** The most that it may cost, where its size tells too little. Default: `nanoUsd`. */
  readonly mostNanoUsd?: number;
}

/** What was set aside for an admitted request. */
export interface Reservation {
  /** As it is once this was set aside. */
  readonly rate: RateStatus;
  /** Exactly once, whatever ended the request: what was not used is given back, what was used beyond it is charged. */
  settle(used: { readonly tokens: number; readonly nanoUsd: number }): void;
}

/**
 * The one step at the door: requests and tokens per minute, concurrency and money, of the key, its project, its
 * organization and the model, are set aside together or not at all.
 */
export interface Admission {
  /**
   * Without waiting where the counters are in this process.
   *
   * @throws AppError `rate_limit_exceeded`, with the time to come back and `rate`; `insufficient_quota`
   */
  admit(ask: AdmissionAsk): Reservation | Promise<Reservation>;
}
