import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeOldBlocks } from './old-block.ts';
import { OLD_COLUMNS } from './old-row.ts';

const checksum = (text: string) => crc32(text).toString(16).padStart(8, '0');

describe('a journal of text in blocks, as they were before they were binary,', () => {
  const block = (text: string) =>
    Buffer.from(`${checksum(text)} ${Buffer.byteLength(text).toString(16).padStart(8, '0')}\n${text}`);
  const blocks = [
    block('1 s-1 ["s-1.0",7,"前门"]\n0 s-2 ["s-2.0",8],["s-2.1",9]\n'),
    block('1 s-3 \n'),
    block('1 s-2 ["s-2.0",10]\n'),
  ];
  const records = [
    { type: 'settled', settlementId: 's-1', rows: [['s-1.0', 7, '前门']] },
    {
      type: 'open',
      settlementId: 's-2',
      rows: [
        ['s-2.0', 8],
        ['s-2.1', 9],
      ],
    },
    { type: 'settled', settlementId: 's-3', rows: [] },
    { type: 'settled', settlementId: 's-2', rows: [['s-2.0', 10]] },
  ];
  const bytes = Buffer.concat(blocks);

  it('is read as far as it is whole', () => {
    expect(decodeOldBlocks(bytes, true)).toEqual({ records, sizeBytes: bytes.length, broken: 0 });
    const cut = bytes.subarray(0, bytes.length - 1);
    const sizeBytes = blocks[0]!.length + blocks[1]!.length;
    expect(decodeOldBlocks(cut, false)).toEqual({ records: records.slice(0, 3), sizeBytes, broken: 0 });
    expect(decodeOldBlocks(cut, true)).toMatchObject({ records: records.slice(0, 3), broken: 1 });
  });

  it.each([0, 9, 17, 20, 24])('loses the block alone that a disk has damaged at %i', (at) => {
    const damaged = Buffer.from(blocks[1]!);
    damaged[at] = damaged[at]! ^ 0x15;
    const found = decodeOldBlocks(Buffer.concat(blocks.with(1, damaged)), true);
    expect(found).toEqual({ records: records.toSpliced(2, 1), sizeBytes: bytes.length, broken: 1 });
  });
});

describe('a journal of lines with checksums, as they were before there were blocks,', () => {
  const line = (text: string) => Buffer.from(`${checksum(text)} ${text}\n`);
  // As it was written then.
  const WRITTEN = Buffer.from(
    '2091a783 1 s-1 [["s-1.0",1700000000000,"org_1","proj_1","key_1","req_1","/v1/chat/completions","m","up/m","first","delivered",1,10,0,5,0,70,0,1200]]\n',
  );
  const lines = [
    line('1 s-1 [["s-1.0",7,"前门"]]'),
    line('0 s-2 [["s-2.0",8],["s-2.1",9]]'),
    line('1 s-3 []'),
  ];
  const records = [
    { type: 'settled', settlementId: 's-1', rows: [['s-1.0', 7, '前门']] },
    {
      type: 'open',
      settlementId: 's-2',
      rows: [
        ['s-2.0', 8],
        ['s-2.1', 9],
      ],
    },
    { type: 'settled', settlementId: 's-3', rows: [] },
  ];
  const bytes = Buffer.concat(lines);

  it('is read', () => {
    expect(decodeOldBlocks(bytes, true)).toEqual({ records, sizeBytes: bytes.length, broken: 0 });
    expect(decodeOldBlocks(WRITTEN, true).records[0]!.rows[0]).toHaveLength(OLD_COLUMNS.length);
  });

  it('is read as far as it was written, and a line that goes on in what follows with that', () => {
    const cut = bytes.subarray(0, bytes.length - 5);
    const sizeBytes = lines[0]!.length + lines[1]!.length;
    expect(decodeOldBlocks(cut, false)).toEqual({ records: records.slice(0, 2), sizeBytes, broken: 0 });
    expect(decodeOldBlocks(cut, true)).toEqual({
      records: records.slice(0, 2),
      sizeBytes: cut.length,
      broken: 1,
    });
  });

  it.each([0, 3, 9, 20])('loses the line alone that a disk has damaged at %i', (at) => {
    const damaged = Buffer.from(lines[1]!);
    damaged[at] = damaged[at]! ^ 0x15;
    const found = decodeOldBlocks(Buffer.concat(lines.with(1, damaged)), true);
    expect(found).toEqual({ records: [records[0], records[2]], sizeBytes: bytes.length, broken: 1 });
  });
});
