import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBlocks, encodeBlock, encodeRecord } from './record.ts';
import { COLUMNS } from './row.ts';

function blockOf(records: readonly string[]): Buffer {
  const buffer = Buffer.alloc(100_000);
  return buffer.subarray(0, encodeBlock(records.join(''), buffer));
}

const blocks = fc
  .array(fc.array(fc.tuple(fc.string(), fc.boolean()), { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 8,
  })
  .map((some) =>
    some.map((rows, i) =>
      rows.map(([text, open], j) => ({
        type: open ? ('open' as const) : ('settled' as const),
        settlementId: `s-${i}-${j}`,
        rows: JSON.stringify([text, '前门']),
      })),
    ),
  );

const encoded = (some: readonly { type: 'open' | 'settled'; settlementId: string; rows: string }[]) =>
  blockOf(some.map(({ type, settlementId, rows }) => encodeRecord(type, settlementId, rows)));

it('reads what was written, as far as it is whole', () => {
  fc.assert(
    fc.property(blocks, fc.nat(), (written, cut) => {
      const parts = written.map(encoded);
      const bytes = Buffer.concat(parts);
      expect(decodeBlocks(bytes, false)).toEqual({
        records: written.flat(),
        sizeBytes: bytes.length,
        broken: 0,
      });
      const part = bytes.subarray(0, cut % bytes.length);
      const found = decodeBlocks(part, false);
      let sizeBytes = 0;
      let whole = 0;
      for (; sizeBytes + parts[whole]!.length <= part.length; whole++) sizeBytes += parts[whole]!.length;
      expect(found).toEqual({ records: written.slice(0, whole).flat(), sizeBytes, broken: 0 });
      const atEnd = decodeBlocks(part, true);
      expect(atEnd).toMatchObject({ records: found.records, sizeBytes: part.length });
      expect(atEnd.broken).toBe(sizeBytes === part.length ? 0 : 1);
    }),
  );
});

it('takes nothing that a disk has changed, and all that it has not', () => {
  fc.assert(
    fc.property(blocks, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (written, which, at, by) => {
      const parts = written.map(encoded);
      const i = which % parts.length;
      const damaged = Buffer.from(parts[i]!);
      const place = at % damaged.length;
      damaged[place] = damaged[place]! ^ by;
      const bytes = Buffer.concat(parts.with(i, damaged));
      const { records, sizeBytes, broken } = decodeBlocks(bytes, true);
      expect(records).toEqual(written.toSpliced(i, 1).flat());
      expect(sizeBytes).toBe(bytes.length);
      expect(broken).toBe(1);
    }),
    {
      // The last byte of a block, behind which the next header is not on a line of its own.
      examples: [
        [[0, 1, 2].map((i) => [{ type: 'open', settlementId: `s-${i}-0`, rows: '["前门"]' }]), 1, 36, 1],
      ],
    },
  );
});

describe('a journal of lines with checksums, as they were before there were blocks,', () => {
  const line = (text: string) => Buffer.from(`${crc32(text).toString(16).padStart(8, '0')} ${text}\n`);
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
    { type: 'settled', settlementId: 's-1', rows: '["s-1.0",7,"前门"]' },
    { type: 'open', settlementId: 's-2', rows: '["s-2.0",8],["s-2.1",9]' },
    { type: 'settled', settlementId: 's-3', rows: '' },
  ];
  const bytes = Buffer.concat(lines);

  it('is read', () => {
    expect(decodeBlocks(bytes, true)).toEqual({ records, sizeBytes: bytes.length, broken: 0 });
    const [{ rows }] = decodeBlocks(WRITTEN, true).records as unknown as [{ rows: string }];
    expect(JSON.parse(`[${rows}]`)[0]).toHaveLength(COLUMNS.length);
  });

  it('is read as far as it was written, and a line that goes on in what follows with that', () => {
    const cut = bytes.subarray(0, bytes.length - 5);
    const sizeBytes = lines[0]!.length + lines[1]!.length;
    expect(decodeBlocks(cut, false)).toEqual({ records: records.slice(0, 2), sizeBytes, broken: 0 });
    expect(decodeBlocks(cut, true)).toEqual({
      records: records.slice(0, 2),
      sizeBytes: cut.length,
      broken: 1,
    });
  });

  it.each([0, 3, 9, 20])('loses the line alone that a disk has damaged at %i', (at) => {
    const damaged = Buffer.from(lines[1]!);
    damaged[at] = damaged[at]! ^ 0x15;
    const found = decodeBlocks(Buffer.concat(lines.with(1, damaged)), true);
    expect(found).toEqual({ records: [records[0], records[2]], sizeBytes: bytes.length, broken: 1 });
  });
});
