import { crc32 } from 'node:zlib';
import type { JournalRecord } from './block.ts';
import type { OldRow } from './old-row.ts';

/** Nothing that is written today looks like it. */
const BEGINNING = /^[0-9a-f]{8} [01] $/;
const BEGINNING_BYTES = 11;
const CHECKSUM_CHARS = 8;
const NEWLINE = 0x0a;

export interface OldLine {
  /** Undefined: it is not what was written. */
  readonly record: JournalRecord<OldRow> | undefined;
  /** Undefined: it has no end. */
  readonly endByte: number | undefined;
}

/**
 * Before there were blocks every record was a line with a checksum of its own, `CHECKSUM TYPE ID [ROWS]`. A gateway of that time may have been
 * killed before it was brought up to date: what its journal holds is owed all the same.
 *
 * @returns Undefined: there is none at `startByte`.
 */
export function oldLineAt(bytes: Buffer, startByte: number): OldLine | undefined {
  if (!isOldLine(bytes, startByte)) return undefined;
  const newline = bytes.indexOf(NEWLINE, startByte);
  if (newline < 0) return { record: undefined, endByte: undefined };
  const line = bytes.toString('utf8', startByte, newline);
  return { record: decode(line), endByte: newline + 1 };
}

export function isOldLine(bytes: Buffer, startByte: number): boolean {
  return BEGINNING.test(bytes.toString('latin1', startByte, startByte + BEGINNING_BYTES));
}

function decode(line: string): JournalRecord<OldRow> | undefined {
  const text = line.slice(CHECKSUM_CHARS + 1);
  if (crc32(text) !== Number.parseInt(line.slice(0, CHECKSUM_CHARS), 16)) return undefined;
  const idEnd = text.indexOf(' ', 2);
  return {
    type: text[0] === '0' ? 'open' : 'settled',
    settlementId: text.slice(2, idEnd),
    rows: JSON.parse(text.slice(idEnd + 1)),
  };
}
