import type Sqlite from 'better-sqlite3';
import { COLUMNS, type LedgerRow, type RefusedRow } from './row.ts';
import { type Cost, Spending } from './spending.ts';

/** It is the row's fault: its values are not what the table takes. */
const REFUSED = /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/;

/** A row at a time: one statement for many would have every value of its rows looked up in their JSON. @throws Error of SQLite */
export function insertIntoSqlite(
  sqlite: Sqlite.Database,
  parts: Iterable<readonly LedgerRow[]>,
): readonly RefusedRow[] {
  const { insert } = statementsOf(sqlite);
  const refused: RefusedRow[] = [];
  spend(sqlite, (spending) => {
    for (const rows of parts)
      for (const row of rows)
        try {
          if (insert.run(...row).changes === 1) spending.add(row[1], row[2], row[3], row[4], row[7], row[16]);
        } catch (error) {
          if (!isRefusal(error)) throw error;
          refused.push({ row, reason: error.message });
        }
  });
  return refused;
}

/** See `countLateRows`. @throws Error of SQLite */
export function countLateInSqlite(sqlite: Sqlite.Database, most: number): void {
  const { count } = statementsOf(sqlite);
  spend(sqlite, (spending) => {
    for (const row of count.all(most)) spending.add(...row);
  });
}

/** Changes rows, and adds what they cost to `spent`, in one transaction. */
function spend(sqlite: Sqlite.Database, change: (spending: Spending) => void): void {
  const { spend } = statementsOf(sqlite);
  const spending = new Spending();
  sqlite.exec('begin immediate');
  try {
    change(spending);
    for (const { day, organizationId, projectId, keyId, model, nanoUsd } of spending.sums)
      for (const period of [day, day.slice(0, 7)])
        spend.run([period, organizationId, projectId, keyId, model, nanoUsd]);
    sqlite.exec('commit');
  } catch (error) {
    // It has rolled back by itself where the disk is full.
    if (sqlite.inTransaction) sqlite.exec('rollback');
    throw error;
  }
}

interface Statements {
  readonly insert: Sqlite.Statement;
  readonly count: Sqlite.Statement<[number], Cost>;
  readonly spend: Sqlite.Statement;
}

const prepared = new WeakMap<Sqlite.Database, Statements>();

function statementsOf(sqlite: Sqlite.Database): Statements {
  let statements = prepared.get(sqlite);
  if (statements === undefined) {
    const names = COLUMNS.map(([name]) => name).join(', ');
    const places = COLUMNS.map(() => '?').join(', ');
    statements = {
      insert: sqlite.prepare(
        `insert into ledger (${names}, counted) values (${places}, 1) on conflict (id) do nothing`,
      ),
      count: sqlite
        .prepare<[number], Cost>(`
          update ledger set counted = 1 where id in (select id from ledger where counted = 0 limit ?)
          returning at_ms, organization_id, project_id, key_id, model, cost_nano_usd`)
        .raw(),
      spend: sqlite.prepare(`
        insert into spent (period, organization_id, project_id, key_id, model, nano_usd) values (?, ?, ?, ?, ?, ?)
        on conflict do update set nano_usd = nano_usd + excluded.nano_usd`),
    };
    prepared.set(sqlite, statements);
  }
  return statements;
}

function isRefusal(error: unknown): error is Error {
  const { code } = error as { readonly code?: unknown };
  // Of the binding: a value of a kind that no column has.
  return REFUSED.test(String(code)) || error instanceof TypeError || error instanceof RangeError;
}
