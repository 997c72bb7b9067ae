import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Owner } from './owner.ts';

/** One file of a journal. */
export interface Segment {
  readonly path: string;
  readonly owner: Owner;
  /** They are written one after the other. */
  readonly number: number;
}

const NAME = /^(?<host>.+)_(?<pid>\d+)_(?<began>\d+)_(?<number>\d+)\.journal$/;

export function segmentOf(dir: string, owner: Owner, number: number): Segment {
  const { host, pid, began } = owner;
  return { path: join(dir, `${host}_${pid}_${began}_${number}.journal`), owner, number };
}

/** All that lie in a folder, in the order in which each owner wrote them. */
export function segmentsIn(dir: string): readonly Segment[] {
  const found = readdirSync(dir).flatMap((file): Segment[] => {
    const { host, pid, began, number } = NAME.exec(file)?.groups ?? {};
    if (host === undefined) return [];
    const owner = { host, pid: Number(pid), began: began ?? '' };
    return [{ path: join(dir, file), owner, number: Number(number) }];
  });
  return found.toSorted((a, b) => ownerKey(a.owner).localeCompare(ownerKey(b.owner)) || a.number - b.number);
}

export function ownerKey({ host, pid, began }: Owner): string {
  return `${host}_${pid}_${began}`;
}

export function sizeBytesOf(segments: readonly Segment[]): number {
  let sum = 0;
  for (const { path } of segments) sum += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return sum;
}
