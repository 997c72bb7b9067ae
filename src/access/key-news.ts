import type { KnownKey } from '../store/callers.ts';

/** What one process has read of the directory, told to the others on its machine. Never has a secret in it. */
export interface KeyNews {
  /** Of the directory, when it was read. */
  readonly revision: number;
  /** When it was asked: monotonic, of the machine. */
  readonly askedAtMs: number;
  /** Undefined: only the revision was read. */
  readonly about?: {
    /** SHA-256 of the secret, in base64url. */
    readonly hash: string;
    /** Undefined: nobody's, or not valid any more. */
    readonly key?: KnownKey | undefined;
  };
}
