import type Sqlite from 'better-sqlite3';
import { ATTEMPT_SUMS } from '../store/attempt-sums.ts';
import { DaySums } from './day-sums.ts';
import type { AttemptLabel } from './label.ts';
import { isRefusal } from './refusal.ts';
import type { RefusedRow } from './refused.ts';
import type { AttemptRow } from './row.ts';
import { type Cost, Spending } from './spending.ts';

/** More rows at once gain nothing; a statement of SQLite takes 32,766 values. */
const AT_ONCE = 64;
const COLUMNS = 12;
/** For a row whose other amounts are 0, as most are: to pass a value to SQLite costs as much as to store it. */
const PLAIN_COLUMNS = 8;
/** From so many rows on, to put the trigger aside is cheaper than to let it run for each. */
const MANY_ROWS = 1_000;
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
  const { plain, whole } = statementsOf(sqlite);
  spend(sqlite, (spending) => {
    const trigger = rows.length < MANY_ROWS ? undefined : putAside(sqlite);
    const labels = new Labels(sqlite);
    const plainRows = new Batch(plain, PLAIN_COLUMNS, putPlain);
    const wholeRows = new Batch(whole, COLUMNS, put);
    for (const row of rows) {
      const { id, days } = labels.get(row.label);
      days.add(row);
      (isPlain(row) ? plainRows : wholeRows).add(row, id);
    }
    plainRows.end();
    wholeRows.end();
    labels.addTo(spending);
    if (trigger === undefined) return;
    const addDay = sqlite.prepare(ADD_DAY);
    for (const [id, days] of labels.days()) for (const sums of days) addDay.run(id, ...sums);
    sqlite.exec(trigger);
  });
}

/**
 * Takes away, until the end of the transaction, the trigger that adds every row to the sums by day: for many rows it takes as long as all the rest. Nobody else
 * can add rows meanwhile, and they find it as it was.
 *
 * @returns What makes it again
 */
function putAside(sqlite: Sqlite.Database): string | undefined {
  const trigger = statementsOf(sqlite).dayTrigger.get();
  if (trigger !== undefined) sqlite.exec('drop trigger attempt_added');
  return trigger;
}

/** Rows of one shape on their way into the table. */
class Batch {
  readonly #statements: Inserts;
  readonly #columns: number;
  readonly #put: typeof put;
  readonly #values: Values = [];
  #used = 0;

  constructor(statements: Inserts, columns: number, putRow: typeof put) {
    this.#statements = statements;
    this.#columns = columns;
    this.#put = putRow;
  }

  add(row: AttemptRow, labelId: number): void {
    this.#put(row, labelId, this.#values, this.#used);
    this.#used += this.#columns;
    if (this.#used < AT_ONCE * this.#columns) return;
    // Passed as an array to SQLite's binding they would cost twice as much.
    this.#statements.many.run(...this.#values);
    this.#used = 0;
  }

  /** Adds the rest. */
  end(): void {
    for (let at = 0; at < this.#used; at += this.#columns)
      this.#statements.one.run(...this.#values.slice(at, at + this.#columns));
  }
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
        const { id, days } = labels.get(row.label);
        put(row, id, values, 0);
        if (insertIfNew.run(...values).changes === 1) days.add(row);
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

function isPlain({ number, cachedTokens, reasoningTokens, wasteNanoUsd }: AttemptRow): boolean {
  return number === 0 && cachedTokens === 0 && reasoningTokens === 0 && wasteNanoUsd === 0;
}

/** In the order of `PLAIN_ROW`. */
function putPlain(row: AttemptRow, labelId: number, values: Values, at: number): void {
  values[at] = row.settlementId;
  values[at + 1] = row.atMs;
  values[at + 2] = labelId;
  values[at + 3] = row.requestId;
  values[at + 4] = row.promptTokens;
  values[at + 5] = row.completionTokens;
  values[at + 6] = row.costNanoUsd;
  values[at + 7] = row.durationMs;
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
  readonly days: DaySums;
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
      found = { id: findLabel.get(label) ?? addLabel.get(label)!, days: new DaySums() };
      this.#found.set(label, found);
    }
    return found;
  }

  *days(): Generator<readonly [id: number, DaySums]> {
    for (const { id, days } of this.#found.values()) yield [id, days];
  }

  addTo(spending: Spending): void {
    for (const [{ organizationId, projectId, keyId, model }, { days }] of this.#found)
      for (const [atMs, nanoUsd] of days.costs())
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

/** Of `AT_ONCE` rows, and of one. */
interface Inserts {
  readonly many: Sqlite.Statement;
  readonly one: Sqlite.Statement;
}

interface Statements {
  readonly plain: Inserts;
  readonly whole: Inserts;
  readonly insertIfNew: Sqlite.Statement;
  readonly findLabel: Sqlite.Statement<[AttemptLabel], number>;
  readonly addLabel: Sqlite.Statement<[AttemptLabel], number>;
  readonly count: Sqlite.Statement<[number], Cost>;
  /** The text that makes it. */
  readonly dayTrigger: Sqlite.Statement<[], string>;
  readonly spend: Sqlite.Statement;
}

const prepared = new WeakMap<Sqlite.Database, Statements>();

const ROW = `(${new Array(COLUMNS).fill('?').join()})`;
const PLAIN_ROW = '(?, 0, ?, ?, ?, ?, 0, ?, 0, ?, 0, ?)';
/** As the trigger does for each row. */
const ADD_DAY = `
  insert into attempt_day (label_id, day, ${ATTEMPT_SUMS.join()}) values (?, ?, ${ATTEMPT_SUMS.map(() => '?').join()})
  on conflict do update set ${ATTEMPT_SUMS.map((name) => `${name} = min(attempt_day.${name} + excluded.${name}, ${Number.MAX_SAFE_INTEGER})`).join()}`;
const LABEL =
  '@organizationId, @projectId, @keyId, @endpoint, @model, @deployment, @kind, @outcome, @measured';
const LABEL_COLUMNS =
  'organization_id, project_id, key_id, endpoint, model, deployment, kind, outcome, measured';

function statementsOf(sqlite: Sqlite.Database): Statements {
  let statements = prepared.get(sqlite);
  if (statements === undefined) {
    statements = {
      plain: insertsOf(sqlite, PLAIN_ROW),
      whole: insertsOf(sqlite, ROW),
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
      dayTrigger: sqlite
        .prepare<[], string>(
          `select sql from sqlite_schema where type = 'trigger' and name = 'attempt_added'`,
        )
        .pluck(),
      spend: sqlite.prepare(`
        insert into spent (period, organization_id, project_id, key_id, model, nano_usd) values (?, ?, ?, ?, ?, ?)
        on conflict do update set nano_usd = nano_usd + excluded.nano_usd`),
    };
    prepared.set(sqlite, statements);
  }
  return statements;
}

/** To be able to take back a statement alone SQLite copies every page before it changes it; here a refusal takes back the whole transaction anyhow. */
function insertsOf(sqlite: Sqlite.Database, row: string): Inserts {
  const insert = (rows: number) =>
    sqlite.prepare(`insert or rollback into attempt values ${new Array(rows).fill(row).join()}`);
  return { many: insert(AT_ONCE), one: insert(1) };
}
