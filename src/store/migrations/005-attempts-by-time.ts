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

/**
 * In SQLite attempts lie in the order of their times, and nowhere else: a row is added at one place, the end, where it was three before, and what is
 * asked about a time is found there. The time is part of a row's name: whoever brings the row again has it from the same journal. Columns stay where
 * they are, so that gateways of before go on adding rows by their places.
 *
 * PostgreSQL adds rows on another machine, or another core: there they stay.
 */
export const attemptsByTime: Migration = {
  name: 'attempts by time',
  async up(kysely, kind) {
    if (kind === 'postgres') return;
    const { schema } = kysely;
    await schema.dropView('every_attempt').execute();
    await schema.alterTable('attempt').renameTo('attempt_before').execute();
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
    await attempt
      .addPrimaryKeyConstraint('attempt_key', ['at_ms', 'settlement_id', 'number'])
      .modifyEnd(sql`without rowid`)
      .execute();
    await sql`insert into attempt select * from attempt_before order by at_ms, settlement_id, number`.execute(
      kysely,
    );
    await schema.dropTable('attempt_before').execute();

    const amounts = sql.join(AMOUNTS.map((name) => sql.ref(name)));
    // Attempts first, of the time that is asked about.
    await sql`
      create view every_attempt as
      select id, at_ms, organization_id, project_id, key_id, request_id, endpoint, model, deployment, kind, outcome, measured, ${amounts}
      from ledger
      union all
      select settlement_id || '.' || number, at_ms, organization_id, project_id, key_id, request_id, endpoint, model, nullif(deployment, ''), kind,
        outcome, measured, ${amounts}
      from attempt cross join attempt_label on attempt.label_id = attempt_label.id`.execute(kysely);
  },
};
