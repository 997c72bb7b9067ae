import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { callerOf } from '../../test/ledger/events.ts';
import { openDatabase } from '../store/database.ts';
import { inspectDatabase } from '../store/inspect.ts';
import { insertRows } from './insert.ts';
import { labelOf } from './label.ts';
import type { AttemptRow } from './row.ts';

const DAY_MS = 86_400_000;
const LABELS = [1, 2, 3].map((n) => labelOf(callerOf(n), 'chat', 'm', 'u/m', 'first', 'delivered', 1));

/** Of two days; every third one has amounts that most rows do not have. */
function row(n: number): AttemptRow {
  const more = n % 3 === 0 ? 1 : 0;
  return {
    settlementId: `s${n}`,
    number: n % 5 === 0 ? 1 : 0,
    atMs: (n % 2) * DAY_MS + n,
    requestId: 'r',
    label: LABELS[n % LABELS.length]!,
    promptTokens: 100 + n,
    cachedTokens: more * 7,
    completionTokens: 10,
    reasoningTokens: more * 3,
    costNanoUsd: 1_000 + n,
    wasteNanoUsd: more * 11,
    durationMs: 5,
  };
}

const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i));

it('sums of days are those of the rows, whether few are brought or many, once or again, and whoever adds others', async () => {
  const location = {
    kind: 'sqlite',
    path: join(mkdtempSync(join(tmpdir(), 'qianmen-insert-')), 'q.db'),
  } as const;
  const [database, other] = [await openDatabase(location), await openDatabase(location)];
  onTestFinished(() => database.close());
  onTestFinished(() => other.close());
  const batches = [rows(0, 10), rows(10, 1_500), rows(1_000, 3_000), rows(2_500, 4_000), rows(4_000, 4_010)];
  for (const [i, batch] of batches.entries())
    expect(await insertRows(i % 2 === 0 ? database : other, batch)).toEqual([]);
  const refused = { ...row(5_000), promptTokens: -1 };
  expect(await insertRows(other, [...rows(5_001, 6_100), refused])).toMatchObject([{ row: refused }]);
  // As a gateway of before does.
  other.sqlite?.exec(`insert into attempt select 'copy' || settlement_id, number, at_ms, label_id, request_id, prompt_tokens,
    cached_tokens, completion_tokens, reasoning_tokens, cost_nano_usd, waste_nano_usd, duration_ms from attempt where at_ms < 3`);
  expect(
    await database.kysely
      .selectFrom('attempt_day')
      .select(({ fn }) => fn.sum('attempts').as('n'))
      .execute(),
  ).toEqual([{ n: 4_010 + 1_099 + 2 }]);
  const { problems } = await inspectDatabase(location);
  // What was added past `insertRows` has not been counted as spent.
  expect(problems.filter((problem) => problem.includes('the sums of the attempts'))).toEqual([]);
});
