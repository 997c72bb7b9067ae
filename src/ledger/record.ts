import { crc32 } from 'node:zlib';
import type { LedgerRow } from './row.ts';

/**
 * What a journal holds, a line each. A request has begun, or has been heard of again: what it would cost if nothing more came. It has ended:
 * what it did cost; no rows: nothing.
 */
export type JournalRecord =
  | { readonly type: 'open'; readonly settlementId: string; readonly rows: readonly LedgerRow[] }
  | { readonly type: 'settled'; readonly settlementId: string; readonly rows: readonly LedgerRow[] };

const CHECKSUM_CHARS = 8;
const NEWLINE = 0x0a;

/** One line, with a checksum in front: what was written in part only is known by it. */
export function encodeRecord({ type, settlementId, rows }: JournalRecord): string {
  const json = JSON.stringify([type === 'open' ? 0 : 1, settlementId, rows]);
  return `${checksum(json)} ${json}\n`;
}

export interface Decoded {
  readonly records: readonly JournalRecord[];
  /** Whole lines, good or not. */
  readonly sizeBytes: number;
  /** Lines that are not what was written: a disk or a power failure did that. */
  readonly broken: number;
}

/** The whole lines at the beginning of `bytes`. */
export function decodeRecords(bytes: Buffer): Decoded {
  const sizeBytes = bytes.lastIndexOf(NEWLINE) + 1;
  const records: JournalRecord[] = [];
  let broken = 0;
  for (const line of bytes.toString('utf8', 0, sizeBytes).split('\n')) {
    if (line === '') continue;
    const record = decodeLine(line);
    if (record === undefined) broken += 1;
    else records.push(record);
  }
  return { records, sizeBytes, broken };
}

function decodeLine(line: string): JournalRecord | undefined {
  const json = line.slice(CHECKSUM_CHARS + 1);
  if (line.slice(0, CHECKSUM_CHARS) !== checksum(json)) return undefined;
  const [type, settlementId, rows] = JSON.parse(json) as [0 | 1, string, LedgerRow[]];
  return { type: type === 0 ? 'open' : 'settled', settlementId, rows };
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(CHECKSUM_CHARS, '0');
}
