import { sql } from 'kysely';
import type { Migration } from '../migrations.ts';

const AMOUNTS = [
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'reasoning_tokens',
  'cost_nano_usd',
  'waste_nano_usd',
  'duration_ms',
] as const;

/** What every attempt used and cost. Rows are added and never changed. */
export const ledger: Migration = {
  name: 'ledger',
  async up(kysely) {
    const { schema } = kysely;
    let table = schema
      .createTable('ledger')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .addColumn('organization_id', 'text', (column) => column.notNull())
      .addColumn('project_id', 'text', (column) => column.notNull())
      .addColumn('key_id', 'text', (column) => column.notNull())
      .addColumn('request_id', 'text', (column) => column.notNull())
      .addColumn('endpoint', 'text', (column) => column.notNull())
      .addColumn('model', 'text', (column) => column.notNull())
      .addColumn('deployment', 'text')
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('outcome', 'text', (column) => column.notNull())
      .addColumn('measured', 'integer', (column) => column.notNull());
    for (const amount of AMOUNTS)
      table = table.addColumn(amount, 'bigint', (column) =>
        column.notNull().check(sql`${sql.ref(amount)} >= 0`),
      );
    await table.execute();
    await schema.createIndex('ledger_at').on('ledger').column('at_ms').execute();
    await schema.createIndex('ledger_project_at').on('ledger').columns(['project_id', 'at_ms']).execute();

    await schema
      .createTable('budget_alarm')
      .addColumn('subject_kind', 'text', (column) => column.notNull())
      .addColumn('subject_id', 'text', (column) => column.notNull())
      .addColumn('period', 'text', (column) => column.notNull())
      .addColumn('share', 'double precision', (column) => column.notNull())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('budget_alarm_key', ['subject_kind', 'subject_id', 'period', 'share'])
      .execute();
  },
};
