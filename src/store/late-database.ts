import { type Database, openDatabase } from './database.ts';
import { type DatabaseLocation, isInPlace, pinned } from './location.ts';
import { explain } from './problem.ts';

const RETRY_MS = 1_000;

/**
 * A database that may not be there yet: a server elsewhere comes and goes, and what does not need it at once need not wait for it. A file of
 * our own either opens or is broken. Where somebody takes it away while it is in use, nothing more is written to it, as that would be lost; nor is another
 * one opened in its place, which would be read together with what this one has left beside it.
 */
export class LateDatabase {
  #location: DatabaseLocation;
  readonly #timeoutMs: number;
  #open: Database | undefined;
  #problem: Error = new Error('The database has not been opened yet.');
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param timeoutMs What one statement may take, and connecting: somebody may wait for the answer. */
  constructor(location: DatabaseLocation, timeoutMs = 2_000) {
    this.#location = location;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws Error if it is a file, and cannot be opened: unless somebody has taken it away from others who use it, who may get it back */
  async start(): Promise<void> {
    try {
      await this.#tryToOpen();
    } catch (error) {
      if (this.#location.kind === 'sqlite' && isInPlace(this.#location)) throw error;
    }
  }

  /** @throws Error that says why it is not open */
  get(): Database {
    this.#requireInPlace();
    if (this.#open === undefined) throw this.#problem;
    return this.#open;
  }

  /** For others that are to use the same one. */
  get location(): DatabaseLocation {
    return this.#location;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#open?.close();
  }

  async #tryToOpen(): Promise<void> {
    try {
      this.#requireInPlace();
      const database = await openDatabase(this.#location, { timeoutMs: this.#timeoutMs });
      this.#location = pinned(this.#location);
      if (this.#closed) await database.close();
      else this.#open = database;
    } catch (error) {
      this.#problem = error as Error;
      if (!this.#closed)
        this.#timer = setTimeout(() => void this.#tryToOpen().catch(() => {}), RETRY_MS).unref();
      throw error;
    }
  }

  #requireInPlace(): void {
    if (isInPlace(this.#location)) return;
    throw explain(
      new Error(
        'somebody has removed, replaced or emptied its file while it was in use. Put it back, or stop the gateway and use `qianmen database restore`',
      ),
      this.#location,
    );
  }
}
