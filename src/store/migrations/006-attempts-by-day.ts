import { type RawBuilder, sql } from 'kysely';
import type { Migration } from '../migrations.ts';

/** Of more, sums are not exact; nor do they stand in the way of a row. */
const MOST = sql.lit(Number.MAX_SAFE_INTEGER);

const AMOUNTS = [
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'reasoning_tokens',
  'cost_nano_usd',
  'waste_nano_usd',
] as const;
const SUMS = ['attempts', ...AMOUNTS] as const;
const DAY_MS = sql.lit(86_400_000);

/**
 * Sums of attempts by day in UTC, so that what is asked about a month or a year does not read millions of rows. The database makes them with every row,
 * whoever adds it: gateways of before, too.
 */
export const attemptsByDay: Migration = {
  name: 'attempts by day',
  async up(kysely, kind) {
    let table = kysely.schema
      .createTable('attempt_day')
      .addColumn('label_id', 'integer', (column) => column.notNull())
      .addColumn('day', 'bigint', (column) => column.notNull());
    for (const sum of SUMS) table = table.addColumn(sum, 'bigint', (column) => column.notNull());
    table = table.addPrimaryKeyConstraint('attempt_day_key', ['label_id', 'day']);
    await (kind === 'sqlite' ? table.modifyEnd(sql`without rowid`) : table).execute();

    if (kind === 'sqlite') {
      const added = sql.join(AMOUNTS.map((name) => sql`new.${sql.ref(name)}`));
      await sql`
        create trigger attempt_added after insert on attempt begin
          insert into attempt_day values (new.label_id, new.at_ms / ${DAY_MS}, 1, ${added}) ${adding('min')};
        end`.execute(kysely);
    } else {
      // A statement's rows at once, in order, so that of two gateways one waits for the other and not each for each.
      await sql`
        create function add_attempts_by_day() returns trigger language plpgsql as $$ begin
          ${sumsOf('added', 'least')} order by 1, 2 ${adding('least')};
          return null;
        end $$`.execute(kysely);
      await sql`
        create trigger attempt_added after insert on attempt referencing new table as added
        for each statement execute function add_attempts_by_day()`.execute(kysely);
    }
    // Who adds some meanwhile waits until the trigger is there for all.
    await sumsOf('attempt', kind === 'sqlite' ? 'min' : 'least').execute(kysely);
  },
};

/** @param smaller What the database calls the smaller one of two numbers. */
function sumsOf(table: string, smaller: string): RawBuilder<unknown> {
  const sums = sql.join(AMOUNTS.map((name) => sql`${sql.raw(smaller)}(sum(${sql.ref(name)}), ${MOST})`));
  return sql`
    insert into attempt_day select label_id, at_ms / ${DAY_MS}, count(*), ${sums} from ${sql.table(table)} group by 1, 2`;
}

function adding(smaller: string): RawBuilder<unknown> {
  const sums = SUMS.map(
    (name) =>
      sql`${sql.ref(name)} = ${sql.raw(smaller)}(attempt_day.${sql.ref(name)} + excluded.${sql.ref(name)}, ${MOST})`,
  );
  return sql`on conflict (label_id, day) do update set ${sql.join(sums)}`;
}
