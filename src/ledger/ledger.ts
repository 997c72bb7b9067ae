import type { GatewayEvent, RequestAdmitted, RequestSettled } from '../core/event.ts';
import { turnTimeMs } from '../core/turn-clock.ts';
import { turnWallMs } from '../core/turn-wall.ts';
import type { DatabaseLocation } from '../store/location.ts';
import type { JournalRecord } from './block.ts';
import { Journal } from './journal.ts';
import { type Claim, claimNew } from './owner.ts';
import { rowsSoFar, type SettledWithCaller, settledRows } from './row.ts';
import { Writer } from './writer.ts';
import type { LedgerLosses } from './writer-messages.ts';

export interface LedgerOptions {
  readonly location: DatabaseLocation;
  /** Of the journals. */
  readonly dir: string;
  /** Most that may be in journals and not in the database. */
  readonly maxBytes: number;
  /**
   * Called once when rows cannot reach the database, once when they cannot even reach the disk, and once when they
   * can again (undefined).
   */
  readonly onProblem?: (problem: string | undefined) => void;
  /** Called whenever there is more. */
  readonly onLosses?: (losses: LedgerLosses) => void;
  /** Unix milliseconds. */
  readonly wall?: () => number;
}

interface OpenRequest {
  /** Undefined: it has ended. */
  event: RequestAdmitted | undefined;
  /** When it is next to be written down as it stands, on the monotonic clock. */
  dueAtMs: number;
}

const LOOK_MS = 50;
/** A look that comes a little early is not waited for the next one. */
const EARLY_MS = LOOK_MS / 2;
/** A running request is written down as it would be settled at that time: as its stream begins, or first after this long, since most have ended by then … */
const FIRST_NOTE_MS = 100;
/** … and then this often; less often where many run, since it costs as much as settling one. */
const NOTE_MS = 200;
const NOTE_MS_OF_MANY = 500;
const MANY = 64;

/**
 * What every attempt of every caller used and cost, once each, whatever happens in between:
 *
 *   runs, ended ──▶ journal (file, at once) ──▶ thread ──▶ database (within a second)
 *
 * A killed process leaves its journal to the next one. A database that is away lets journals grow, up to a bound; then `isFull`, and whoever
 * admits requests must not admit any more: nothing is given away unrecorded.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #wall: () => number;
  readonly #claim: Claim;
  readonly #journal: Journal;
  readonly #writer: Writer;
  /** By their serial numbers: a map takes six times as long to hash a text that it has never seen. */
  readonly #open = new Map<number, OpenRequest>();
  /** While requests run. */
  #progress: NodeJS.Timeout | undefined;
  #problem: string | undefined;
  #toldState: 'well' | 'behind' | 'stuck' = 'well';
  #journalProblem: string | undefined;
  #databaseProblem: string | undefined;
  #backlogBytes = 0;
  #losses: LedgerLosses = { broken: 0, refused: 0, refusedPath: undefined };

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#wall = options.wall ?? turnWallMs;
    const { location, dir } = options;
    this.#claim = claimNew(dir);
    this.#journal = new Journal({
      dir,
      name: this.#claim.name,
      onProblem: (problem) => {
        this.#journalProblem = problem && `the journal in ${dir} cannot be written: ${problem.message}`;
        if (problem === undefined) this.#writer.wake();
        this.#tell();
      },
    });
    this.#writer = new Writer({
      location,
      dir,
      journal: this.#claim.name,
      isQuiet: () => this.#open.size === 0 && !this.#journal.isFailing,
      onPassed: ({ problem, backlogBytes, losses }) => {
        this.#renewFiles();
        this.#backlogBytes = backlogBytes;
        this.#databaseProblem = problem;
        this.#tell();
        this.#tellLosses(losses);
      },
      onDied: (error) => {
        this.#databaseProblem = `the thread that writes the ledger has died: ${error.message}`;
        this.#tell();
      },
    });
  }

  /** Why rows do not reach the database, or not even the disk. Requests are recorded all the same, as long as `isFull` is false. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Of this process, and of those whose journals it has taken over. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  get losses(): LedgerLosses {
    return this.#losses;
  }

  /** There is no room to record another request. */
  get isFull(): boolean {
    return this.#journalProblem !== undefined || this.#backlogBytes >= this.#options.maxBytes;
  }

  /** To be told everything. */
  readonly observe = (event: GatewayEvent): void => {
    if (event.type === 'request-admitted') {
      this.#open.set(event.serial, { event, dueAtMs: turnTimeMs() + FIRST_NOTE_MS });
      this.#progress ??= setInterval(() => this.#noteProgress(), LOOK_MS).unref();
      // There will be a record: until then it has started.
      this.#writer.wake();
    } else if (event.type === 'request-begun') {
      const request = this.#open.get(event.serial);
      if (request !== undefined && !this.#journal.isFailing) this.#noteOpen(request);
    } else if (event.type === 'request-settled') {
      // A request that was refused has not begun, and has used nothing.
      const { settlementId, serial } = event;
      if (!hasCaller(event) || !this.#forget(serial)) return;
      this.#note({ type: 'settled', settlementId, rows: settledRows(event, this.#wall()) });
    }
  };

  /**
   * @returns Whether it was open. A map whose entries come and go leaves old tables behind, and whatever was in them
   * stays alive until they are collected, with all that it refers to: a request's whole life. So the entry itself is
   * emptied, too.
   */
  #forget(serial: number): boolean {
    const request = this.#open.get(serial);
    if (request === undefined) return false;
    request.event = undefined;
    return this.#open.delete(serial);
  }

  /** Resolves when everything observed is in the database, or to why it is not. */
  async flush(): Promise<string | undefined> {
    this.#renewFiles();
    this.#journal.write();
    const problem = await this.#writer.flush();
    return this.#journalProblem ?? problem;
  }

  /** Resolves when everything is in the database, or after a while: then the journal keeps it. */
  async close(): Promise<void> {
    clearInterval(this.#progress);
    this.#renewFiles();
    this.#journal.close();
    this.#claim.release(await this.#writer.finish());
  }

  /** Whatever somebody has done to the folder under a gateway that runs: what others look for by name is there. */
  #renewFiles(): void {
    try {
      this.#claim.renew();
    } catch {
      // Somebody has just found a journal without a lock, and will be done with it; or nothing can be written there, as the journal will tell.
    }
    this.#journal.renew();
  }

  #note(record: JournalRecord): void {
    this.#journal.add(record);
    this.#writer.wake();
  }

  #noteProgress(): void {
    if (this.#open.size === 0) {
      clearInterval(this.#progress);
      this.#progress = undefined;
      return;
    }
    // What waits for a disk is kept small, by writing down nothing about requests that run; new ones are not admitted.
    if (this.#journal.isFailing) return;
    const nowMs = turnTimeMs();
    const pauseMs = this.#open.size > MANY ? NOTE_MS_OF_MANY : NOTE_MS;
    for (const request of this.#open.values()) {
      if (request.dueAtMs > nowMs + EARLY_MS) continue;
      request.dueAtMs = nowMs + pauseMs;
      this.#noteOpen(request);
    }
  }

  #noteOpen({ event }: OpenRequest): void {
    if (event === undefined) return;
    this.#note({ type: 'open', settlementId: event.settlementId, rows: rowsSoFar(event, this.#wall()) });
  }

  #tellLosses(losses: LedgerLosses): void {
    const before = this.#losses;
    this.#losses = losses;
    const isFound = losses.refusedPath !== undefined && before.refusedPath === undefined;
    if (losses.broken > before.broken || losses.refused > before.refused || isFound)
      this.#options.onLosses?.(losses);
  }

  #tell(): void {
    this.#problem = this.#journalProblem ?? this.#databaseProblem;
    const state =
      this.#problem === undefined ? 'well' : this.#problem === this.#journalProblem ? 'stuck' : 'behind';
    if (state !== this.#toldState) this.#options.onProblem?.(this.#problem);
    this.#toldState = state;
  }
}

function hasCaller(event: RequestSettled): event is SettledWithCaller {
  return event.caller !== undefined;
}
