import type { Finding } from '../store/callers.ts';
import type { Ended } from '../store/ended.ts';

/** Where keys are looked up. Everything may reject, when the database cannot be reached. */
export interface KeyDirectory {
  /** @param hash SHA-256 of the secret. */
  find(hash: Buffer, nowMs: number): Promise<Finding>;
  /** What was revoked or archived since, Unix milliseconds, and secrets that end. */
  endedSince(sinceMs: number): Promise<Ended>;
  /** Grows whenever keys, or whom they belong to, have changed. */
  revision(): Promise<number>;
  /** At least one key exists. */
  anyKeys(): Promise<boolean>;
}
