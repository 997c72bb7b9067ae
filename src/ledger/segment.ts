import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** One file of a journal. */
export interface Segment {
  readonly path: string;
  /** They are written one after the other. */
  readonly number: number;
}

/** Other names than before there were binary blocks, so that gateways of that time leave them alone. */
const NAME = /^(?<journal>.+)-(?<number>\d+)\.(?:rows|journal)$/;

/** The path of one file of the journal `name`. */
export function segmentPath(dir: string, name: string, number: number): string {
  return join(dir, `${name}-${number}.rows`);
}

/** From before there were binary blocks. */
export function isOldSegment(path: string): boolean {
  return path.endsWith('.journal');
}

/** Those of a journal, in the order in which they were written. */
export function segmentsOf(dir: string, name: string): readonly Segment[] {
  const found = readdirSync(dir).flatMap((file): Segment[] => {
    const { journal, number } = NAME.exec(file)?.groups ?? {};
    return journal === name ? [{ path: join(dir, file), number: Number(number) }] : [];
  });
  return found.toSorted((a, b) => a.number - b.number);
}

/** Up to where files have been read: by their paths, in bytes. */
export type Offsets = ReadonlyMap<string, number>;

/** What is in a journal behind what has been read of it. @throws Error of the system */
export function unreadBytes(dir: string, name: string, read: Offsets): number {
  let sum = 0;
  for (const { path } of segmentsOf(dir, name))
    sum += (statSync(path, { throwIfNoEntry: false })?.size ?? 0) - (read.get(path) ?? 0);
  return sum;
}
