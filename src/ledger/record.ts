import { crc32 } from 'node:zlib';
import type { LedgerRow } from './row.ts';

/**
 * What a journal holds, a line each. A request has been heard of: what it would cost if nothing more came. It has ended: what it did cost; no
 * rows: nothing. The rows are JSON: whoever reads them passes them on, and need not know what is in them.
 */
export interface JournalRecord {
  readonly type: 'open' | 'settled';
  readonly settlementId: string;
  /** Between the brackets of an array of `LedgerRow`. */
  readonly rows: string;
}

const CHECKSUM_CHARS = 8;
const NEWLINE = 0x0a;
const OPEN = '0';
const SETTLED = '1';

/** One line, `CHECKSUM TYPE ID ROWS`: what was written in part only is known by its checksum. */
export function encodeRecord(
  type: JournalRecord['type'],
  settlementId: string,
  rows: readonly LedgerRow[],
): string {
  const text = `${type === 'open' ? OPEN : SETTLED} ${settlementId} ${JSON.stringify(rows)}`;
  return `${checksum(text)} ${text}\n`;
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
  const text = line.slice(CHECKSUM_CHARS + 1);
  if (line.slice(0, CHECKSUM_CHARS) !== checksum(text)) return undefined;
  const idEnd = text.indexOf(' ', 2);
  return {
    type: text[0] === OPEN ? 'open' : 'settled',
    settlementId: text.slice(2, idEnd),
    rows: text.slice(idEnd + 2, -1),
  };
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(CHECKSUM_CHARS, '0');
}
