import { hash as digest } from 'node:crypto';
import type { Caller } from '../core/caller.ts';
import { AppError } from '../core/error.ts';
import { hostTimeMs, hostTurnTimeMs } from '../core/host-clock.ts';
import type { Finding } from '../store/callers.ts';
import { isApiKeyShaped } from './api-key.ts';
import type { CachedKey } from './key-cache.ts';
import type { KeyDirectory } from './key-directory.ts';
import type { KeyNews } from './key-news.ts';
import { KnownKeys } from './known-keys.ts';

export interface AuthenticatorOptions {
  readonly directory: KeyDirectory;
  /** Every request needs a key, even while there is none: a gateway that listens to the world serves nobody by mistake. */
  readonly alwaysNeeded?: boolean;
  /** While the database cannot be reached, known keys are good for this long. */
  readonly ttlMs: number;
  /** Told what was read of keys that are good, or were, and how the directory stood when it could no longer be reached. */
  readonly onNews?: (news: KeyNews) => void;
  /** Told once when the database cannot be reached, and once when it can again (undefined). */
  readonly onProblem?: (problem: Error | undefined) => void;
  /** Unix milliseconds. */
  readonly wall?: () => number;
  /** Monotonic milliseconds of the machine. */
  readonly now?: () => number;
  readonly pollMs?: number;
}

const POLL_MS = 500;
const MAX_KNOWN = 100_000;
/** Guesses are remembered apart from keys, so that guessing pushes no key out, and for a short time, so that it asks the database little. */
const MAX_UNKNOWN = 10_000;
const UNKNOWN_MS = 5_000;
/** Secrets that need not be hashed again. */
const MAX_SEEN = 4_096;
/** Look-ups of keys never seen, at a time; guesses beyond that are refused without one. */
const MAX_LOOKUPS = 1_024;
/** Those of the machines that share a database: by less than this. */
const CLOCKS_DIFFER_MS = 300_000;

/**
 * Finds out who is calling. A key that has been seen before costs a look into a map. The database is asked about
 * others, and twice a second whether anything has changed; after a change every key is asked about once more, when
 * it next comes. What other processes of the machine have read counts like what was read here.
 *
 * As long as no key exists nobody needs one; but that counts only once the database has said so.
 */
export class Authenticator {
  readonly #options: Required<Pick<AuthenticatorOptions, 'wall' | 'now'>> & AuthenticatorOptions;
  readonly #known: KnownKeys;
  readonly #unknown = new Map<string, number>();
  /**
   * Of secrets that are known to be good, and of no others: guesses are hashed whole, however much of a secret they have right, and a map finds nothing
   * by a part of a text. Until anything changes; whoever can read this process' memory can read the requests.
   */
  readonly #seen = new Map<string, CachedKey>();
  readonly #lookups = new Map<string, Promise<Caller>>();
  #keysExist: boolean | undefined;
  /** The latest revision at which it was asked what has changed, and the wall clock then. */
  #lookedAt: number | undefined;
  #lookedAtWallMs: number;
  #problem: Error | undefined;
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  #closed = false;

  constructor(options: AuthenticatorOptions) {
    this.#options = { wall: Date.now, now: hostTurnTimeMs, ...options };
    this.#known = new KnownKeys(MAX_KNOWN, options.now ?? hostTimeMs);
    // What others tell at the beginning is no older.
    this.#lookedAtWallMs = this.#options.wall() - options.ttlMs;
  }

  /** Resolves when the database has been asked for the first time, whatever came of it. */
  async start(): Promise<void> {
    await this.poll();
    this.#again();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Whether every request needs a key. */
  get keysNeeded(): boolean {
    return this.#options.alwaysNeeded === true || this.#keysExist !== false;
  }

  /** The database has said that there is no key. */
  get noKeys(): boolean {
    return this.#keysExist === false;
  }

  /** The database has been away for so long, or since the start, that no key is good any more. */
  get knowsNobody(): boolean {
    const { now, ttlMs } = this.#options;
    return this.keysNeeded && this.#problem !== undefined && now() - this.#known.confirmedAtMs >= ttlMs;
  }

  /** Why the database cannot be asked. */
  get problem(): Error | undefined {
    return this.#problem;
  }

  /**
   * The caller, without waiting where the key is known. Undefined: nobody needs a key.
   *
   * @throws AppError `invalid_api_key`, `keys_unavailable`
   */
  authenticate(secret: string | undefined): Caller | undefined | Promise<Caller> {
    if (!this.keysNeeded) return undefined;
    if (secret === undefined) throw missingKey();
    const seen = this.#seen.get(secret);
    if (seen !== undefined && seen.revision === this.#known.revision && this.#isValid(seen))
      return seen.caller;
    if (!isApiKeyShaped(secret)) throw wrongKey();
    const { now } = this.#options;
    const hash = digest('sha256', secret, 'base64url');
    const known = this.#valid(hash);
    if (known !== undefined && known.revision === this.#known.revision) {
      this.#remember(secret, known);
      return known.caller;
    }
    const knownWrongAtMs = this.#unknown.get(hash);
    if (knownWrongAtMs !== undefined && now() - knownWrongAtMs < UNKNOWN_MS) throw wrongKey();
    return this.#lookUp(hash, known?.caller);
  }

  /** For whoever has just changed something: resolves when that is known here, or the database cannot be asked. */
  async refresh(): Promise<void> {
    // One that has begun before may have missed it.
    await this.#polling;
    await this.poll();
  }

  /** What another process of the machine has read. */
  hear(news: KeyNews): void {
    const { revision } = this.#known;
    this.#known.hear(news);
    if (revision === this.#known.revision) return;
    this.#unknown.clear();
    this.#seen.clear();
  }

  /** Asks whether anything has changed. */
  poll(): Promise<void> {
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #poll(): Promise<void> {
    const { directory, now } = this.#options;
    try {
      const askedAtMs = now();
      const revision = await directory.revision();
      this.hear({ revision, askedAtMs });
      if (revision !== this.#lookedAt) {
        this.#keysExist = await directory.anyKeys();
        await this.#forgetEnded(revision, askedAtMs);
        this.#lookedAt = revision;
      }
      this.#tell(undefined);
    } catch (error) {
      this.#tell(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #remember(secret: string, known: CachedKey): void {
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    // A copy: a slice would keep the whole string alive, which is the request's head.
    this.#seen.set(Buffer.from(secret, 'latin1').toString('latin1'), known);
  }

  #valid(hash: string): CachedKey | undefined {
    const known = this.#known.get(hash);
    if (known === undefined || this.#isValid(known)) return known;
    this.#known.delete(hash);
    return undefined;
  }

  /** It was when the database last could be asked, not too long ago. */
  #isValid({ revision, askedAtMs, expiresAtMs }: CachedKey): boolean {
    const { now, wall, ttlMs } = this.#options;
    if (expiresAtMs !== undefined && wall() >= expiresAtMs) return false;
    const confirmedAtMs = revision === this.#known.revision ? this.#known.confirmedAtMs : askedAtMs;
    return now() - Math.max(confirmedAtMs, askedAtMs) < ttlMs;
  }

  /** @param known Serves on where the database cannot be asked. */
  #lookUp(hash: string, known: Caller | undefined): Promise<Caller> {
    let lookup = this.#lookups.get(hash);
    if (lookup === undefined) {
      if (known === undefined && this.#lookups.size >= MAX_LOOKUPS) throw new AppError('keys_unavailable');
      lookup = this.#ask(hash, known).finally(() => this.#lookups.delete(hash));
      this.#lookups.set(hash, lookup);
    }
    return lookup;
  }

  async #ask(hash: string, known: Caller | undefined): Promise<Caller> {
    let finding: Finding;
    try {
      finding = await this.#read(hash, known !== undefined);
    } catch (cause) {
      if (known !== undefined) return known;
      throw new AppError('keys_unavailable', { cause });
    }
    const { key, revision } = finding;
    if (key !== undefined) return key.caller;
    if (this.#unknown.size >= MAX_UNKNOWN) this.#unknown.clear();
    // What has changed meanwhile may have made it somebody's.
    if (revision === this.#known.revision) this.#unknown.set(hash, this.#options.now());
    throw wrongKey();
  }

  async #read(hash: string, isKnown: boolean): Promise<Finding> {
    const { directory, wall, now, onNews } = this.#options;
    const askedAtMs = now();
    const finding = await directory.find(Buffer.from(hash, 'base64url'), wall());
    const { key, revision } = finding;
    const news = { revision, askedAtMs, about: { hash, key } };
    this.hear(news);
    // Guesses are no news.
    if (key !== undefined || isKnown) onNews?.(news);
    return finding;
  }

  /** A key that has ended must not be good again when the database goes away before it is next asked about. */
  async #forgetEnded(revision: number, askedAtMs: number): Promise<void> {
    const { directory, wall, onNews } = this.#options;
    const wallMs = wall();
    if (!this.#known.isEmpty) {
      const ended = await directory.endedSince(this.#lookedAtWallMs - CLOCKS_DIFFER_MS);
      for (const hash of this.#known.endedBy(ended)) {
        const news = { revision, askedAtMs, about: { hash } };
        this.hear(news);
        onNews?.(news);
      }
      for (const hash of this.#known.outliving(ended.secrets)) await this.#read(hash, true);
    }
    this.#lookedAtWallMs = wallMs;
  }

  #tell(problem: Error | undefined): void {
    const changed = (problem === undefined) !== (this.#problem === undefined);
    this.#problem = problem;
    if (!changed) return;
    const { onProblem, onNews } = this.#options;
    onProblem?.(problem);
    const { revision, confirmedAtMs } = this.#known;
    // Others, and those that begin meanwhile, count from the same time.
    if (problem !== undefined && revision !== undefined) onNews?.({ revision, askedAtMs: confirmedAtMs });
  }

  #again(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(
      () => void this.poll().then(() => this.#again()),
      this.#options.pollMs ?? POLL_MS,
    );
    this.#timer.unref();
  }
}

function missingKey(): AppError {
  return new AppError('invalid_api_key', {
    message: 'You did not provide an API key: send it in the header Authorization, as `Bearer KEY`.',
  });
}

/** The same for what is not a key, nobody's key, and a key that is no longer valid. Never repeats what was sent. */
function wrongKey(): AppError {
  return new AppError('invalid_api_key', { message: 'Incorrect API key provided.' });
}
