import { closeSync, fdatasyncSync, openSync, readSync, rmSync } from 'node:fs';
import { decodeBlocks, type KnownLabels, MAX_BLOCK_BYTES } from './block.ts';
import { decodeOldBlocks } from './old-block.ts';
import { type Claim, claimDead } from './owner.ts';
import type { JournalRow, RefusedRow } from './refused.ts';
import { setAside } from './refused.ts';
import { isOldSegment, type Offsets, segmentsOf, unreadBytes } from './segment.ts';

export interface DrainOptions {
  readonly dir: string;
  /** Adds rows that may be there already. Resolves to those that will never be taken. */
  readonly insert: (rows: readonly JournalRow[]) => Promise<readonly RefusedRow[]>;
  /** Of the journal that is followed while it is written. */
  readonly own: string;
  /** Of that journal: what is in the database already. */
  readonly read?: Offsets;
}

/** How far a journal has been read. */
interface Progress {
  readonly offsets: Map<string, number>;
  /** Requests whose end is not known: their rows as they would be now, and the file that says so. */
  readonly open: Map<string, { readonly rows: readonly JournalRow[]; readonly path: string }>;
  readonly labels: KnownLabels;
}

const READ_BYTES = 4 * MAX_BLOCK_BYTES;

/**
 * Brings what journals hold into the database:
 *
 *   own journal ──────────▶ rows of requests that have ended; a file is removed when all in it has
 *   of a dead process ────▶ the same, and what had not ended is taken as it was last heard of
 *   of others that run ───▶ left to them
 *
 * Everything may happen twice, as rows have names: a crash in the middle loses nothing and doubles nothing.
 */
export class Drain {
  readonly #options: DrainOptions;
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);
  readonly #own: Progress;
  readonly #dead = new Map<Claim, Progress>();
  /** Own, and not known to survive a power failure: the file that has grown last. */
  #unsafePath: string | undefined;
  /** What a disk has broken: writes whose contents nobody can tell. */
  broken = 0;
  /** Rows that the database will not take. */
  refused = 0;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#own = newProgress(options.read);
  }

  /**
   * Brings in what is new in our own journal. Rejects if the database could not be written; then nothing is
   * forgotten.
   *
   * @param finished It gets nothing more
   */
  runOwn(finished = false): Promise<void> {
    return this.#drain(this.#options.own, this.#own, !finished);
  }

  /** Journals that nobody has are ours from now on. @throws Error if there is one that cannot be had; those that can are */
  claimDead(): void {
    const { claims, problem } = claimDead(this.#options.dir);
    for (const claim of claims) this.#dead.set(claim, newProgress());
    if (problem !== undefined) throw problem;
  }

  /** Brings in what others have left behind. Rejects as `runOwn` does, if one of them could not be brought in. */
  async runDead(): Promise<void> {
    const failures: unknown[] = [];
    for (const [claim, progress] of this.#dead)
      try {
        await this.#drain(claim.name, progress, false);
        claim.release(true);
        this.#dead.delete(claim);
      } catch (error) {
        failures.push(error);
      }
    if (failures.length > 0) throw failures[0];
  }

  /** How far our own journal has been read, for whoever goes on with it. */
  get read(): Offsets {
    return this.#own.offsets;
  }

  /** What is in our journals and not in the database. @throws Error of the system */
  backlogBytes(): number {
    const { dir, own } = this.#options;
    let sum = unreadBytes(dir, own, this.#own.offsets);
    for (const [{ name }, { offsets }] of this.#dead) sum += unreadBytes(dir, name, offsets);
    return sum;
  }

  /** What was read so far survives a power failure, too. @throws Error of the system */
  sync(): void {
    if (this.#unsafePath === undefined) return;
    const fd = openSync(this.#unsafePath, 'r+');
    try {
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    this.#unsafePath = undefined;
  }

  /** Leaves what is left of others' journals to whoever comes next. */
  close(): void {
    for (const claim of this.#dead.keys()) claim.release(false);
    this.#dead.clear();
  }

  async #drain(name: string, progress: Progress, grows: boolean): Promise<void> {
    const { dir } = this.#options;
    const segments = segmentsOf(dir, name);
    const latest = segments.at(-1)?.path;
    for (const { path } of segments) await this.#read(path, progress, grows && path === latest);
    if (!grows) {
      await this.#insert([...progress.open.values()].flatMap(({ rows }) => rows));
      progress.open.clear();
    }
    const needed = new Set([...progress.open.values()].map(({ path }) => path));
    for (const { path } of segments) {
      // Nor what follows: if its end were removed and its beginning not, a request would be taken for one that never ended.
      if ((grows && path === latest) || needed.has(path)) break;
      rmSync(path, { force: true });
      progress.offsets.delete(path);
      // What was in it is in the database.
      if (this.#unsafePath === path) this.#unsafePath = undefined;
    }
  }

  async #read(path: string, { offsets, open, labels }: Progress, grows: boolean): Promise<void> {
    for (;;) {
      const offset = offsets.get(path) ?? 0;
      const bytes = this.#readFrom(path, offset);
      if (bytes.length === 0) return;
      if (grows) this.#unsafePath = path;
      const isEnd = !grows && bytes.length < READ_BYTES;
      const { records, sizeBytes, broken } = isOldSegment(path)
        ? decodeOldBlocks(bytes, isEnd)
        : decodeBlocks(bytes, isEnd, labels);
      const ended: JournalRow[] = [];
      for (const { type, settlementId, rows } of records)
        if (type === 'settled') ended.push(...rows);
        else open.set(settlementId, { rows, path });
      await this.#insert(ended);
      if (open.size > 0)
        for (const { type, settlementId } of records) if (type === 'settled') open.delete(settlementId);
      this.broken += broken;
      offsets.set(path, offset + sizeBytes);
      // What has come meanwhile is left to the next pass: few rows at a time cost several times as much each. So is a block whose end is still to be written.
      if (bytes.length < READ_BYTES) return;
    }
  }

  async #insert(rows: readonly JournalRow[]): Promise<void> {
    const { dir, insert } = this.#options;
    const refused = await insert(rows);
    setAside(dir, refused);
    this.refused += refused.length;
  }

  #readFrom(path: string, offset: number): Buffer {
    const fd = openSync(path, 'r');
    try {
      return this.#buffer.subarray(0, readSync(fd, this.#buffer, 0, READ_BYTES, offset));
    } finally {
      closeSync(fd);
    }
  }
}

function newProgress(read: Offsets = new Map()): Progress {
  return { offsets: new Map(read), open: new Map(), labels: new Map() };
}
