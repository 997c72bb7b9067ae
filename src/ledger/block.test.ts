import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeBlocks, type JournalRecord } from './block.ts';
import { BlockWriter } from './block-writer.ts';
import type { AttemptRow } from './row.ts';

const amount = fc.maxSafeNat();
const labels = fc.record({
  organizationId: fc.constantFrom('org_1', 'org_2'),
  projectId: fc.constant('proj_1'),
  keyId: fc.constantFrom('key_1', 'key_2'),
  endpoint: fc.constant('chat'),
  model: fc.string({ unit: 'grapheme' }),
  deployment: fc.constantFrom('', '前门/m'),
  kind: fc.constantFrom('first', 'retry', 'hedge'),
  outcome: fc.constantFrom('delivered', 'aborted'),
  measured: fc.constantFrom(0, 1),
}) as fc.Arbitrary<AttemptRow['label']>;
const amounts = fc.record({
  label: labels,
  promptTokens: amount,
  cachedTokens: amount,
  completionTokens: amount,
  reasoningTokens: amount,
  costNanoUsd: amount,
  wasteNanoUsd: amount,
  durationMs: amount,
});
const request = fc.record({
  settlementId: fc.string({ unit: 'grapheme' }),
  requestId: fc.string(),
  atMs: amount,
  isOpen: fc.boolean(),
  attempts: fc.array(amounts, { maxLength: 3 }),
});
const records: fc.Arbitrary<JournalRecord> = request.map(
  ({ settlementId, requestId, atMs, isOpen, attempts }) => ({
    type: isOpen ? 'open' : 'settled',
    settlementId,
    rows: attempts.map((rest, number) => ({ settlementId, number, atMs, requestId, ...rest })),
  }),
);
const blocks = fc.array(fc.array(records, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 });

/** The blocks of one journal. */
function encoded(written: readonly (readonly JournalRecord[])[]): Buffer[] {
  const writer = new BlockWriter();
  return written.map((some) => {
    for (const one of some) writer.add(one);
    const block = Buffer.from(writer.finish());
    writer.clear();
    return block;
  });
}

it('reads what was written, as far as it is whole', () => {
  fc.assert(
    fc.property(blocks, fc.nat(), (written, cut) => {
      const parts = encoded(written);
      const bytes = Buffer.concat(parts);
      expect(decodeBlocks(bytes, false, new Map())).toEqual({
        records: written.flat(),
        sizeBytes: bytes.length,
        broken: 0,
      });
      const part = bytes.subarray(0, cut % bytes.length);
      const found = decodeBlocks(part, false, new Map());
      let sizeBytes = 0;
      let whole = 0;
      for (; sizeBytes + parts[whole]!.length <= part.length; whole++) sizeBytes += parts[whole]!.length;
      expect(found).toEqual({ records: written.slice(0, whole).flat(), sizeBytes, broken: 0 });
      const atEnd = decodeBlocks(part, true, new Map());
      expect(atEnd).toMatchObject({ records: found.records, sizeBytes: part.length });
      expect(atEnd.broken).toBe(sizeBytes === part.length ? 0 : 1);
    }),
  );
});

it('takes nothing that a disk has changed, and all that it has not', () => {
  fc.assert(
    fc.property(blocks, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (written, which, at, by) => {
      const parts = encoded(written);
      const i = which % parts.length;
      const damaged = Buffer.from(parts[i]!);
      const place = at % damaged.length;
      damaged[place] = damaged[place]! ^ by;
      const bytes = Buffer.concat(parts.with(i, damaged));
      const { records: found, sizeBytes, broken } = decodeBlocks(bytes, true, new Map());
      expect(found).toEqual(written.toSpliced(i, 1).flat());
      expect(sizeBytes).toBe(bytes.length);
      expect(broken).toBe(1);
    }),
  );
});

it('reads each block by itself, whatever labels are known already', () => {
  const record = { type: 'settled', settlementId: 's', rows: [ROW] } as const;
  const [first, second] = encoded([[record], [record]]);
  const known = new Map();
  for (const block of [first, second]) expect(decodeBlocks(block!, true, known).records).toEqual([record]);
  expect([...known.values()]).toEqual([ROW.label]);
  const many = new Map(Array.from({ length: 10_000 }, (_, i) => [-i - 1, ROW.label]));
  expect(decodeBlocks(second!, true, many).records).toEqual([record]);
  expect(many.size).toBe(1);
});

it('holds more than there was room for at first', () => {
  const rows = Array.from({ length: 5_000 }, (_, number) => ({ ...ROW, number, costNanoUsd: number }));
  const record = { type: 'settled', settlementId: 's', rows } as const;
  const bytes = encoded([[record]])[0]!;
  expect(bytes.length).toBeGreaterThan(256 * 1024);
  expect(decodeBlocks(bytes, true, new Map()).records).toEqual([record]);
});

const ROW: AttemptRow = {
  settlementId: 's',
  number: 0,
  atMs: 1,
  requestId: 'r',
  label: {
    organizationId: 'org_1',
    projectId: 'proj_1',
    keyId: 'key_1',
    endpoint: 'chat',
    model: 'm',
    deployment: 'u/m',
    kind: 'first',
    outcome: 'delivered',
    measured: 1,
  },
  promptTokens: 1,
  cachedTokens: 0,
  completionTokens: 2,
  reasoningTokens: 0,
  costNanoUsd: 3,
  wasteNanoUsd: 0,
  durationMs: 4,
};
