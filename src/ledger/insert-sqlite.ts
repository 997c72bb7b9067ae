import type Sqlite from 'better-sqlite3';
import type { AttemptLabel } from './label.ts';
import { isRefusal } from './refusal.ts';
import type { RefusedRow } from './refused.ts';
import type { AttemptRow } from './row.ts';
import { type Cost, DailyCosts, Spending } from './spending.ts';

/** More rows at once gain nothing; a statement of SQLite takes 32,766 values. */
const AT_ONCE = 64;
const COLUMNS = 12;
type Values = (string | number)[];

/** @returns Those that are refused. @throws Error of SQLite */
export function insertIntoSqlite(
  sqlite: Sqlite.Database,
  rows: readonly AttemptRow[],
): readonly RefusedRow[] {
  try {
    insertNew(sqlite, rows);
    return [];
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return insertEach(sqlite, rows);
  }
}

/** Many at once, which takes half as long. @throws Error of SQLite: a refusal, too, if there is one already; then none is in */
function insertNew(sqlite: Sqlite.Database, rows: readonly AttemptRow[]): void {
  const { insertMany, insert } = statementsOf(sqlite);
  spend(sqlite, (spending) => {
    const labels = new Labels(sqlite);
    const values: Values = [];
    let used = 0;
    for (const row of rows) {
      const { id, costs } = labels.get(row.label);
      put(row, id, values, used);
      costs.add(row.atMs, row.costNanoUsd);
      used += COLUMNS;
      if (used < AT_ONCE * COLUMNS) continue;
      // Passed as an array to SQLite's binding they would cost twice as much.
      insertMany.run(...values);
      used = 0;
    }
    for (let at = 0; at < used; at += COLUMNS) insert.run(...values.slice(at, at + COLUMNS));
    labels.addTo(spending);
  });
}

/** A row at a time: each tells whether it is new, and whether it is refused. @throws Error of SQLite */
function insertEach(sqlite: Sqlite.Database, rows: readonly AttemptRow[]): readonly RefusedRow[] {
  const { insertIfNew } = statementsOf(sqlite);
  const refused: RefusedRow[] = [];
  spend(sqlite, (spending) => {
    const labels = new Labels(sqlite);
    const values: Values = [];
    for (const row of rows)
      try {
        const { id, costs } = labels.get(row.label);
        put(row, id, values, 0);
        if (insertIfNew.run(...values).changes === 1) costs.add(row.atMs, row.costNanoUsd);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refused.push({ row, reason: error.message });
      }
    labels.addTo(spending);
  });
  return refused;
}

/** In the order of the table's columns. */
function put(row: AttemptRow, labelId: number, values: Values, at: number): void {
  values[at] = row.settlementId;
  values[at + 1] = row.number;
  values[at + 2] = row.atMs;
  values[at + 3] = labelId;
  values[at + 4] = row.requestId;
  values[at + 5] = row.promptTokens;
  values[at + 6] = row.cachedTokens;
  values[at + 7] = row.completionTokens;
  values[at + 8] = row.reasoningTokens;
  values[at + 9] = row.costNanoUsd;
  values[at + 10] = row.wasteNanoUsd;
  values[at + 11] = row.durationMs;
}

/** See `countLateRows`. @throws Error of SQLite */
export function countLateInSqlite(sqlite: Sqlite.Database, most: number): void {
  const { count } = statementsOf(sqlite);
  spend(sqlite, (spending) => {
    for (const row of count.all(most)) spending.add(...row);
  });
}

interface Found {
  readonly id: number;
  readonly costs: DailyCosts;
}

/** What is found stays true until the end of the transaction. */
class Labels {
  readonly #statements: Statements;
  readonly #found = new Map<AttemptLabel, Found>();

  constructor(sqlite: Sqlite.Database) {
    this.#statements = statementsOf(sqlite);
  }

  get(label: AttemptLabel): Found {
    let found = this.#found.get(label);
    if (found === undefined) {
      const { findLabel, addLabel } = this.#statements;
      found = { id: findLabel.get(label) ?? addLabel.get(label)!, costs: new DailyCosts() };
      this.#found.set(label, found);
    }
    return found;
  }

  addTo(spending: Spending): void {
    for (const [{ organizationId, projectId, keyId, model }, { costs }] of this.#found)
      for (const [atMs, nanoUsd] of costs)
        spending.add(atMs, organizationId, projectId, keyId, model, nanoUsd);
  }
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
  readonly insertMany: Sqlite.Statement;
  readonly insert: Sqlite.Statement;
  readonly insertIfNew: Sqlite.Statement;
  readonly findLabel: Sqlite.Statement<[AttemptLabel], number>;
  readonly addLabel: Sqlite.Statement<[AttemptLabel], number>;
  readonly count: Sqlite.Statement<[number], Cost>;
  readonly spend: Sqlite.Statement;
}

const prepared = new WeakMap<Sqlite.Database, Statements>();

const ROW = `(${new Array(COLUMNS).fill('?').join()})`;
const LABEL =
  '@organizationId, @projectId, @keyId, @endpoint, @model, @deployment, @kind, @outcome, @measured';
const LABEL_COLUMNS =
  'organization_id, project_id, key_id, endpoint, model, deployment, kind, outcome, measured';

function statementsOf(sqlite: Sqlite.Database): Statements {
  let statements = prepared.get(sqlite);
  if (statements === undefined) {
    statements = {
      insertMany: sqlite.prepare(`insert into attempt values ${new Array(AT_ONCE).fill(ROW).join()}`),
      insert: sqlite.prepare(`insert into attempt values ${ROW}`),
      insertIfNew: sqlite.prepare(`insert into attempt values ${ROW} on conflict do nothing`),
      findLabel: sqlite
        .prepare<[AttemptLabel], number>(`select id from attempt_label where (${LABEL_COLUMNS}) = (${LABEL})`)
        .pluck(),
      addLabel: sqlite
        .prepare<[AttemptLabel], number>(
          `insert into attempt_label (${LABEL_COLUMNS}) values (${LABEL}) returning id`,
        )
        .pluck(),
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
