import type { Caller } from '../core/caller.ts';

export interface KnownKey {
  readonly caller: Caller;
  /** Unix milliseconds; undefined: it does not expire. */
  readonly expiresAtMs: number | undefined;
}

/** Where keys are looked up. Everything may reject, when the database cannot be reached. */
export interface KeyDirectory {
  /** @param hash SHA-256 of the secret. @returns Undefined: nobody's, or not valid any more. */
  find(hash: Buffer, nowMs: number): Promise<KnownKey | undefined>;
  /** Changes whenever keys, or whom they belong to, have changed. */
  revision(): Promise<number>;
  /** At least one key exists. */
  anyKeys(): Promise<boolean>;
}
