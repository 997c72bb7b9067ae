import { sql } from 'kysely';
import type { Migration } from '../migrations.ts';

/** After every change gateways ask which keys, projects and organizations have ended of late. */
export const ended: Migration = {
  name: 'what has ended',
  async up({ schema }) {
    for (const [table, column] of [
      ['api_key', 'revoked_at_ms'],
      ['project', 'archived_at_ms'],
      ['organization', 'archived_at_ms'],
    ] as const)
      await schema
        .createIndex(`${table}_ended`)
        .on(table)
        .column(column)
        .where(sql<boolean>`${sql.ref(column)} is not null`)
        .execute();
  },
};
