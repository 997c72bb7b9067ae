import type { Caller } from '../core/caller.ts';
import type { Ended } from '../store/ended.ts';

export interface KnownKey {
  readonly caller: Caller;
  /** Unix milliseconds; undefined: it does not expire. */
  readonly expiresAtMs?: number | undefined;
}

/** What was found about a secret, and at which revision: what is older than a change is told by it. */
export interface Finding {
  /** Undefined: nobody's, or not valid any more. */
  readonly key: KnownKey | undefined;
  readonly revision: number;
}

/** Where keys are looked up. Everything may reject, when the database cannot be reached. */
export interface KeyDirectory {
  /** @param hash SHA-256 of the secret. */
  find(hash: Buffer, nowMs: number): Promise<Finding>;
  /** What was revoked or archived since, Unix milliseconds. */
  endedSince(sinceMs: number): Promise<Ended>;
  /** Grows whenever keys, or whom they belong to, have changed. */
  revision(): Promise<number>;
  /** At least one key exists. */
  anyKeys(): Promise<boolean>;
}
