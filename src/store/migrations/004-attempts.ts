import { type CreateTableBuilder, sql } from 'kysely';
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

const LABEL = [
  'organization_id',
  'project_id',
  'key_id',
  'endpoint',
  'model',
  'deployment',
  'kind',
  'outcome',
] as const;

/**
 * The ledger in short rows, which share what repeats from row to row. The table that was there stays, as it is: gateways that are not up to date yet
 * go on adding to it, and what such a one leaves behind goes there, too. `every_attempt` shows both.
 */
export const attempts: Migration = {
  name: 'attempts',
  async up(kysely, kind) {
    const { schema } = kysely;
    let label: CreateTableBuilder<'attempt_label', string> = schema
      .createTable('attempt_label')
      .addColumn('id', 'integer', (column) => column.primaryKey());
    for (const name of LABEL) label = label.addColumn(name, 'text', (column) => column.notNull());
    await label
      .addColumn('measured', 'integer', (column) => column.notNull())
      .addUniqueConstraint('attempt_label_key', [...LABEL, 'measured'])
      .execute();
    await schema.createIndex('attempt_label_project').on('attempt_label').column('project_id').execute();

    let attempt = schema
      .createTable('attempt')
      .addColumn('settlement_id', 'text', (column) => column.notNull())
      .addColumn('number', 'integer', (column) => column.notNull())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .addColumn('label_id', 'integer', (column) => column.notNull())
      .addColumn('request_id', 'text', (column) => column.notNull());
    for (const amount of AMOUNTS)
      attempt = attempt.addColumn(amount, 'bigint', (column) =>
        column.notNull().check(sql`${sql.ref(amount)} >= 0`),
      );
    await attempt.addPrimaryKeyConstraint('attempt_key', ['settlement_id', 'number']).execute();
    await schema.createIndex('attempt_label_at').on('attempt').columns(['label_id', 'at_ms']).execute();

    const amounts = sql.join(AMOUNTS.map((name) => sql.ref(name)));
    // Labels first, each with its index by time: SQLite would rather read all attempts there are.
    const join = kind === 'sqlite' ? sql`cross join` : sql`join`;
    await sql`
      create view every_attempt as
      select id, at_ms, organization_id, project_id, key_id, request_id, endpoint, model, deployment, kind, outcome, measured, ${amounts}
      from ledger
      union all
      select settlement_id || '.' || number, at_ms, organization_id, project_id, key_id, request_id, endpoint, model, nullif(deployment, ''), kind,
        outcome, measured, ${amounts}
      from attempt_label ${join} attempt on attempt.label_id = attempt_label.id`.execute(kysely);
  },
};
