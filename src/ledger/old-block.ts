import { crc32 } from 'node:zlib';
import type { Decoded, JournalRecord } from './block.ts';
import { isOldLine, oldLineAt } from './old-line.ts';
import type { OldRow } from './old-row.ts';

/**
 * Journals as they were before their blocks were binary: lines `TYPE ID ROWS`, the rows in JSON, behind a header `CHECKSUM BYTES` in hexadecimal.
 * A gateway of that time may have been killed before it was brought up to date: what its journal holds is owed all the same.
 */

const OPEN = '0';
const NEWLINE = 0x0a;
/** No record looks like it. */
const HEADER = /^[0-9a-f]{8} [0-9a-f]{8}\n$/;
const HEADER_BYTES = 18;
/** Of one with its header. */
const MAX_BLOCK_BYTES = 512 * 1024;

/** The whole blocks at the beginning of `bytes`. @param isEnd Nothing follows: what is not whole never will be. */
export function decodeOldBlocks(bytes: Buffer, isEnd: boolean): Decoded<OldRow> {
  const records: JournalRecord<OldRow>[] = [];
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

function decodeRecord(line: string): JournalRecord<OldRow> {
  const idEnd = line.indexOf(' ', 2);
  return {
    type: line[0] === OPEN ? 'open' : 'settled',
    settlementId: line.slice(2, idEnd),
    rows: JSON.parse(`[${line.slice(idEnd + 1)}]`),
  };
}
