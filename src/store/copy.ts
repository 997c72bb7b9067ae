import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Database } from './database.ts';

// biome-ignore lint/suspicious/noExplicitAny: tables are known by name only.
type AnyTables = Kysely<any>;

/** PostgreSQL takes 65,535 parameters with a statement. */
const MAX_PARAMETERS = 30_000;
const MAX_ROWS = 1000;

/** Tables in which a new database has rows already; those of the source take their place. */
const MADE_WITH_ROWS: readonly string[] = ['key_revision'];

/** What the target itself derives from what arrives. */
const MADE_OF_OTHERS: readonly string[] = ['attempt_day'];

export interface CopiedTable {
  readonly name: string;
  readonly rows: number;
}

/**
 * Copies everything in a SQLite database into an empty PostgreSQL one, in one transaction, and compares what has arrived: numbers of rows,
 * the sum of every whole number, the length of every text. Both have the same tables, since both were brought up to this code.
 *
 * @throws Error, and the target stays as it was, where it is not empty, where something does not match, or where the source was
 * written to meanwhile
 */
export async function copyToPostgres(
  source: Database,
  target: Database,
  onProgress: (table: string, rows: number) => void = () => {},
): Promise<readonly CopiedTable[]> {
  const version = await writesOfOthers(source);
  return target.kysely.transaction().execute(async (to) => {
    const copied = await source.kysely.connection().execute(async (from) => {
      // Holds on to this moment.
      await sql`begin`.execute(from);
      try {
        return await copyTables(from, to, onProgress);
      } finally {
        await sql`rollback`.execute(from);
      }
    });
    if ((await writesOfOthers(source)) !== version)
      throw new Error('the source was written to meanwhile: stop the gateway, and copy again');
    return copied;
  });
}

async function copyTables(
  from: AnyTables,
  to: AnyTables,
  onProgress: (table: string, rows: number) => void,
): Promise<readonly CopiedTable[]> {
  const tables = await tablesOf(from);
  for (const { name } of tables) {
    if (MADE_WITH_ROWS.includes(name)) await to.deleteFrom(name).execute();
    const found = await to.selectFrom(name).select(sql`1`.as('one')).limit(1).execute();
    if (found.length > 0)
      throw new Error(`the target is not empty: its table ${name} has rows. Name an empty database`);
  }
  const copied: CopiedTable[] = [];
  for (const table of tables) {
    if (MADE_OF_OTHERS.includes(table.name)) continue;
    const rows = await copyRows(from, to, table, (done) => onProgress(table.name, done));
    copied.push({ name: table.name, rows });
  }
  // Compared at the end, so that what a later table did to an earlier one shows, too.
  for (const table of tables) await refuseDifference(from, to, table);
  return copied;
}

async function copyRows(
  from: AnyTables,
  to: AnyTables,
  { name, columns }: Table,
  onProgress: (rows: number) => void,
): Promise<number> {
  const most = Math.min(MAX_ROWS, Math.floor(MAX_PARAMETERS / columns.length));
  let done = 0;
  let batch: Record<string, unknown>[] = [];
  const flush = async () => {
    if (batch.length === 0) return;
    await to.insertInto(name).values(batch).execute();
    done += batch.length;
    batch = [];
    onProgress(done);
  };
  for await (const row of from.selectFrom(name).selectAll().stream()) {
    batch.push(row);
    if (batch.length === most) await flush();
  }
  await flush();
  return done;
}

interface Table {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Tables that it points to. */
  readonly parents: readonly string[];
}

/** Those that others point to first. */
async function tablesOf(kysely: AnyTables): Promise<readonly Table[]> {
  const { rows: names } = await sql<{ name: string }>`
    select name from sqlite_schema
    where type = 'table' and name not like 'sqlite\\_%' escape '\\' and name <> 'schema_migration' order by name`.execute(
    kysely,
  );
  const tables: Table[] = [];
  for (const { name } of names) {
    const { rows: columns } = await sql<Table['columns'][number]>`
      select name, lower(type) as type from pragma_table_info(${name})`.execute(kysely);
    const { rows: keys } = await sql<{ parent: string }>`
      select "table" as parent from pragma_foreign_key_list(${name})`.execute(kysely);
    tables.push({ name, columns, parents: keys.map(({ parent }) => parent) });
  }
  const ordered: Table[] = [];
  while (ordered.length < tables.length) {
    const isNext = (table: Table) =>
      !ordered.includes(table) &&
      table.parents.every((parent) => ordered.some(({ name }) => name === parent));
    const next = tables.find(isNext);
    if (next === undefined) throw new Error('tables point to each other in a circle');
    ordered.push(next);
  }
  return ordered;
}

/** Changes when another process has written. */
async function writesOfOthers({ kysely }: Database): Promise<number> {
  const { rows } = await sql<{ data_version: number }>`pragma data_version`.execute(kysely);
  return rows[0]!.data_version;
}

async function refuseDifference(from: AnyTables, to: AnyTables, table: Table): Promise<void> {
  const [sent, arrived] = await Promise.all([from, to].map((kysely) => totals(kysely, table)));
  for (const [what, value] of Object.entries(sent!))
    if (arrived![what] !== value)
      throw new Error(
        `${table.name} has not arrived whole: ${what} is ${arrived![what]} instead of ${value}`,
      );
}

/** Of a table: how many rows it has, and of every column something that adds up. */
async function totals(kysely: AnyTables, { name, columns }: Table): Promise<Record<string, unknown>> {
  const expressions = columns.flatMap(({ name: column, type }) => {
    const value = sql.ref(column);
    const total = (what: string, expression: RawBuilder<unknown>) =>
      sql`coalesce(sum(${expression}), 0)`.as(`${what} of ${column}`);
    if (/text|blob/.test(type)) return [total('length', sql`length(${value})`)];
    // In two halves, as the sum of a large table's times is more than 64 bits hold.
    if (type.includes('int'))
      return [total('sum of millions', sql`${value} / 1000000`), total('sum', sql`${value} % 1000000`)];
    return [];
  });
  return kysely
    .selectFrom(name)
    .select([sql`count(*)`.as('number of rows'), ...expressions])
    .executeTakeFirstOrThrow();
}
