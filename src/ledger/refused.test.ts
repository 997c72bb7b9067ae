import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nameOf, type RefusedRow, readRefused, refusedPath, retryRefused, setAside } from './refused.ts';
import type { AttemptRow } from './row.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qianmen-refused-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const refused = (id: string, reason = 'of old'): RefusedRow => ({
  row: { settlementId: id, number: 0 } as unknown as AttemptRow,
  reason,
});
const idsOf = (rows: readonly RefusedRow[]) => rows.map(({ row }) => nameOf(row));

it('are listed, each once', () => {
  expect([refusedPath(dir), readRefused(dir).rows]).toEqual([undefined, []]);
  setAside(dir, [refused('a'), refused('b')]);
  setAside(dir, [refused('a', 'again')]);
  expect(refusedPath(dir)).toBe(join(dir, 'refused-rows.jsonl'));
  expect(readRefused(dir)).toEqual({ rows: [refused('a', 'again'), refused('b')], unreadable: [] });
});

it('are tried again, and those that are refused again stay, with the new reason', async () => {
  setAside(dir, [refused('a'), refused('b'), refused('c')]);
  const tried = await retryRefused(dir, async (rows) => {
    expect(rows.map(nameOf)).toEqual(['a.0', 'b.0', 'c.0']);
    return [refused('b', 'of new')];
  });
  expect(tried).toEqual({ taken: 2, rows: [refused('b', 'of new')], unreadable: [] });
  expect(readRefused(dir)).toEqual({ rows: [refused('b', 'of new')], unreadable: [] });
  await retryRefused(dir, async () => []);
  expect(readdirSync(dir)).toEqual([]);
});

it('stay where the database cannot be written, and where the one who tried was killed', async () => {
  setAside(dir, [refused('a')]);
  await expect(retryRefused(dir, () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  setAside(dir, [refused('b')]);
  expect(idsOf(readRefused(dir).rows).toSorted()).toEqual(['a.0', 'b.0']);
  expect(refusedPath(dir)).toBeDefined();
  expect((await retryRefused(dir, async () => [])).taken).toBe(2);
  expect(refusedPath(dir)).toBeUndefined();
});

it('that come while others are tried are not lost', async () => {
  setAside(dir, [refused('a')]);
  await retryRefused(dir, async () => {
    setAside(dir, [refused('b')]);
    return [];
  });
  expect(idsOf(readRefused(dir).rows)).toEqual(['b.0']);
});

it('may be tried by two at once', async () => {
  setAside(dir, [refused('a'), refused('b')]);
  const insert = async () => [refused('b')];
  await Promise.all([retryRefused(dir, insert), retryRefused(dir, insert)]);
  expect(readRefused(dir).rows).toEqual([refused('b')]);
});

it('keeps lines that hold none', async () => {
  setAside(dir, [refused('a')]);
  const path = join(dir, 'refused-rows.jsonl');
  appendFileSync(path, '{"row":["b"\n{"row":{},"reason":"x"}\n');
  const tried = await retryRefused(dir, async () => []);
  expect(tried).toMatchObject({ taken: 1, unreadable: ['{"row":["b"', '{"row":{},"reason":"x"}'] });
  expect(readFileSync(path, 'utf8')).toBe('{"row":["b"\n{"row":{},"reason":"x"}\n');
});

it('are not lost behind what another could write in part only', async () => {
  setAside(dir, [refused('a')]);
  appendFileSync(join(dir, 'refused-rows.jsonl'), '{"row":["b"');
  setAside(dir, [refused('c')]);
  expect(readRefused(dir)).toEqual({ rows: [refused('a'), refused('c')], unreadable: ['{"row":["b"'] });
});

it('are left to whoever moves the file away', () => {
  setAside(dir, [refused('a')]);
  renameSync(join(dir, 'refused-rows.jsonl'), join(dir, 'seen.jsonl'));
  expect([refusedPath(dir), readRefused(dir).rows]).toEqual([undefined, []]);
});
