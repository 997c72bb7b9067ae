import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeBlocks, encodeBlock, encodeRecord } from './record.ts';

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
