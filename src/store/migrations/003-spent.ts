import { sql } from 'kysely';
import type { Migration } from '../migrations.ts';

/**
 * Sums of the ledger by day and by month, so that nobody has to add up millions of rows; and which alarms have been brought. Gateways that know of no
 * sums may still run, and add rows: those are the ones that are not `counted` yet.
 */
export const spent: Migration = {
  name: 'spent',
  async up(kysely, kind) {
    const { schema } = kysely;
    const table = schema
      .createTable('spent')
      .addColumn('period', 'text', (column) => column.notNull())
      .addColumn('organization_id', 'text', (column) => column.notNull())
      .addColumn('project_id', 'text', (column) => column.notNull())
      .addColumn('key_id', 'text', (column) => column.notNull())
      .addColumn('model', 'text', (column) => column.notNull())
      .addColumn('nano_usd', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('spent_key', ['period', 'organization_id', 'project_id', 'key_id', 'model']);
    await (kind === 'sqlite' ? table.modifyEnd(sql`without rowid`) : table).execute();
    // First of all, as it makes the others wait: their rows are there to be summed, or come later. Those that are there are counted below.
    await schema
      .alterTable('ledger')
      .addColumn('counted', 'integer', (column) =>
        column.notNull().defaultTo(sql.lit(kind === 'sqlite' ? 0 : 1)),
      )
      .execute();
    await (kind === 'sqlite'
      ? sql`update ledger set counted = 1`
      : sql`alter table ledger alter column counted set default 0`
    ).execute(kysely);
    await sql`create index ledger_late on ledger (id) where counted = 0`.execute(kysely);
    const day =
      kind === 'sqlite'
        ? sql`strftime('%Y-%m-%d', at_ms / 1000, 'unixepoch')`
        : sql`to_char(to_timestamp(at_ms / 1000) at time zone 'UTC', 'YYYY-MM-DD')`;
    for (const characters of [10, 7])
      await sql`
        insert into spent
        select substr(${day}, 1, ${sql.lit(characters)}), organization_id, project_id, key_id, model, sum(cost_nano_usd)
        from ledger where cost_nano_usd > 0 group by 1, 2, 3, 4, 5`.execute(kysely);

    for (const amount of ['budget_nano_usd', 'spent_nano_usd'])
      await schema
        .alterTable('budget_alarm')
        .addColumn(amount, 'bigint', (column) => column.notNull().defaultTo(0))
        .execute();
    await schema.alterTable('budget_alarm').addColumn('told_at_ms', 'bigint').execute();
    await schema
      .alterTable('budget_alarm')
      .addColumn('held_until_ms', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute();
    // Those before went off when they were kept.
    await kysely
      .updateTable('budget_alarm')
      .set(({ ref }) => ({ told_at_ms: ref('at_ms') }))
      .execute();
  },
};
