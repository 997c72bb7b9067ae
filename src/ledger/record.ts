import { crc32 } from 'node:zlib';
import { isOldLine, oldLineAt } from './old-record.ts';

/**
 * What a journal holds, a line each. A request has been heard of: what it would cost if nothing more came. It has ended: what it did cost; no
 * rows: nothing. The rows are JSON: whoever reads them passes them on, and need not know what is in them.
 */
export interface JournalRecord {
  readonly type: 'open' | 'settled';
  readonly settlementId: string;
  /** `LedgerRow`s as JSON, with commas between them. */
  readonly rows: string;
}

const OPEN = '0';
const SETTLED = '1';
const NEWLINE = 0x0a;

/** A line: `TYPE ID ROWS`. */
export function encodeRecord(type: JournalRecord['type'], settlementId: string, rows: string): string {
  return `${type === 'open' ? OPEN : SETTLED} ${settlementId} ${rows}\n`;
}

function decodeRecord(line: string): JournalRecord {
  const idEnd = line.indexOf(' ', 2);
  return {
    type: line[0] === OPEN ? 'open' : 'settled',
    settlementId: line.slice(2, idEnd),
    rows: line.slice(idEnd + 1),
  };
}

/** No record looks like it: `CHECKSUM BYTES`, both in hexadecimal. */
const HEADER = /^[0-9a-f]{8} [0-9a-f]{8}\n$/;
const HEADER_BYTES = 18;
/** Of one with its header. */
export const MAX_BLOCK_BYTES = 512 * 1024;

/** Most that a block of so many characters takes. */
export function blockBytes(characters: number): number {
  return HEADER_BYTES + 3 * characters;
}

/**
 * What is written at once: a header, and records behind it. What was written in part only, or has been damaged, is known by the checksum.
 *
 * @param buffer Of `blockBytes` at least.
 * @returns How many bytes of it are used
 */
export function encodeBlock(records: string, buffer: Buffer): number {
  const endByte = HEADER_BYTES + buffer.write(records, HEADER_BYTES);
  const checksum = crc32(buffer.subarray(HEADER_BYTES, endByte));
  buffer.write(`${hex(checksum)} ${hex(endByte - HEADER_BYTES)}\n`, 'latin1');
  return endByte;
}

export interface Decoded {
  readonly records: readonly JournalRecord[];
  /** Of what has been read to its end, good or not. */
  readonly sizeBytes: number;
  /** Blocks that are not what was written: a disk or a power failure did that. */
  readonly broken: number;
}

/** The whole blocks at the beginning of `bytes`. @param isEnd Nothing follows: what is not whole never will be. */
export function decodeBlocks(bytes: Buffer, isEnd: boolean): Decoded {
  const records: JournalRecord[] = [];
  let broken = 0;
  let startByte = 0;
  while (startByte < bytes.length) {
    const old = oldLineAt(bytes, startByte);
    if (old !== undefined) {
      if (old.endByte === undefined && !isEnd) break;
      if (old.record === undefined) broken += 1;
      else records.push(old.record);
      startByte = old.endByte ?? bytes.length;
      continue;
    }
    const header = headerAt(bytes, startByte);
    const endByte = startByte + HEADER_BYTES + (header?.sizeBytes ?? 0);
    const isCut = header === undefined ? bytes.length - startByte < HEADER_BYTES : endByte > bytes.length;
    if (isCut && !isEnd) break;
    const content = bytes.subarray(startByte + HEADER_BYTES, endByte);
    if (header !== undefined && !isCut && crc32(content) === header.checksum) {
      for (const line of content.toString('utf8', 0, content.length - 1).split('\n'))
        records.push(decodeRecord(line));
      startByte = endByte;
    } else {
      broken += 1;
      startByte = nextHeader(bytes, startByte);
    }
  }
  return { records, sizeBytes: startByte, broken };
}

interface Header {
  readonly checksum: number;
  /** Of what follows it. */
  readonly sizeBytes: number;
}

function headerAt(bytes: Buffer, startByte: number): Header | undefined {
  const text = bytes.toString('latin1', startByte, startByte + HEADER_BYTES);
  if (!HEADER.test(text)) return undefined;
  const sizeBytes = Number.parseInt(text.slice(9, 17), 16);
  if (sizeBytes === 0 || sizeBytes > MAX_BLOCK_BYTES - HEADER_BYTES) return undefined;
  return { checksum: Number.parseInt(text.slice(0, 8), 16), sizeBytes };
}

/**
 * Where the next one begins behind `startByte`; where there is none: the end. It is known by its own end, since the last byte of what was damaged
 * may be what is wrong with it.
 */
function nextHeader(bytes: Buffer, startByte: number): number {
  let newline = bytes.indexOf(NEWLINE, startByte + HEADER_BYTES);
  while (newline >= 0) {
    const candidate = newline + 1 - HEADER_BYTES;
    if (headerAt(bytes, candidate) !== undefined) return candidate;
    if (isOldLine(bytes, newline + 1)) return newline + 1;
    newline = bytes.indexOf(NEWLINE, newline + 1);
  }
  return bytes.length;
}

function hex(number: number): string {
  return number.toString(16).padStart(8, '0');
}
