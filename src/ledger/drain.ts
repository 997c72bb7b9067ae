import { closeSync, fdatasyncSync, openSync, readSync, rmSync } from 'node:fs';
import { mayRun, type Owner, thisProcess } from './owner.ts';
import { decodeRecords } from './record.ts';
import type { LedgerRow } from './row.ts';
import { ownerKey, type Segment, segmentsIn } from './segment.ts';

export interface DrainOptions {
  readonly dir: string;
  /** Adds rows that may be there already. */
  readonly insert: (rows: readonly LedgerRow[]) => Promise<void>;
  /** Whose journal is followed while it is written. Default: this process's. */
  readonly owner?: Owner;
}

/** How far a journal has been read. */
interface Progress {
  readonly offsets: Map<string, number>;
  /** Requests of which no end is known: their rows as they would be now, and the file that says so. */
  readonly open: Map<string, { readonly rows: readonly LedgerRow[]; readonly path: string }>;
}

const READ_BYTES = 1024 * 1024;

/**
 * Brings what journals hold into the database:
 *
 *   own journal ──────────▶ rows of requests that have ended; a file is removed when all in it has
 *   of a dead process ────▶ the same, and what had not ended is taken as it was last heard of
 *   of others that run ───▶ left to them
 *
 * Everything may happen twice, and rows have names: a crash in the middle loses nothing and doubles nothing.
 */
export class Drain {
  readonly #options: Required<DrainOptions>;
  readonly #progress = new Map<string, Progress>();
  /** Lines that a disk has broken. */
  broken = 0;

  constructor(options: DrainOptions) {
    this.#options = { owner: thisProcess(), ...options };
  }

  /** One pass. Rejected: the database could not be written, and nothing is forgotten. @param finished Our own journal gets nothing more */
  async run(finished = false): Promise<void> {
    const { dir, owner } = this.#options;
    for (const [key, segments] of byOwner(segmentsIn(dir))) {
      const own = key === ownerKey(owner);
      if (!own && mayRun(segments[0]!.owner)) continue;
      await this.#drain(key, segments, own && !finished);
    }
  }

  /** What was read so far survives a power failure, too. */
  sync(): void {
    for (const { path } of segmentsIn(this.#options.dir)) {
      const fd = openSync(path, 'r+');
      try {
        fdatasyncSync(fd);
      } finally {
        closeSync(fd);
      }
    }
  }

  async #drain(key: string, segments: readonly Segment[], grows: boolean): Promise<void> {
    const progress = this.#progress.get(key) ?? { offsets: new Map(), open: new Map() };
    this.#progress.set(key, progress);
    for (const { path } of segments) await this.#read(path, progress);
    if (!grows) {
      await this.#options.insert([...progress.open.values()].flatMap(({ rows }) => rows));
      progress.open.clear();
      this.#progress.delete(key);
    }
    const needed = new Set([...progress.open.values()].map(({ path }) => path));
    const latest = grows ? segments.at(-1)?.path : undefined;
    for (const { path } of segments)
      if (path !== latest && !needed.has(path)) {
        rmSync(path, { force: true });
        progress.offsets.delete(path);
      }
  }

  async #read(path: string, { offsets, open }: Progress): Promise<void> {
    for (;;) {
      const offset = offsets.get(path) ?? 0;
      const bytes = readFrom(path, offset);
      const { records, sizeBytes, broken } = decodeRecords(bytes);
      if (sizeBytes === 0) return;
      const ended: LedgerRow[] = [];
      for (const { type, settlementId, rows } of records)
        if (type === 'settled') ended.push(...rows);
        else open.set(settlementId, { rows, path });
      await this.#options.insert(ended);
      for (const { type, settlementId } of records) if (type === 'settled') open.delete(settlementId);
      offsets.set(path, offset + sizeBytes);
      this.broken += broken;
    }
  }
}

function byOwner(segments: readonly Segment[]): ReadonlyMap<string, Segment[]> {
  return Map.groupBy(segments, ({ owner }) => ownerKey(owner));
}

function readFrom(path: string, offset: number): Buffer {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    // Somebody else has brought it in meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const bytes = Buffer.allocUnsafe(READ_BYTES);
    return bytes.subarray(0, readSync(fd, bytes, 0, READ_BYTES, offset));
  } finally {
    closeSync(fd);
  }
}
