import { type CreateTableBuilder, sql } from 'kysely';
import type { Migration } from '../migrations.ts';

/** Organizations, their projects, and the API keys of those. */
export const tenants: Migration = {
  name: 'tenants',
  async up(kysely, kind) {
    const { schema } = kysely;

    await schema
      .createTable('key_revision')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .execute();
    await kysely.insertInto('key_revision').values({ id: 1, revision: 0 }).execute();

    await owner(schema.createTable('organization')).addColumn('archived_at_ms', 'bigint').execute();

    await owner(schema.createTable('project'))
      .addColumn('organization_id', 'text', (column) => column.notNull().references('organization.id'))
      .addColumn('weight', 'double precision', (column) => column.notNull())
      .addColumn('priority', 'integer', (column) => column.notNull())
      .addColumn('archived_at_ms', 'bigint')
      .execute();

    await owner(schema.createTable('api_key'))
      .addColumn('project_id', 'text', (column) => column.notNull().references('project.id'))
      .addColumn('role', 'text', (column) => column.notNull())
      .addColumn('models', 'text')
      .addColumn('endpoints', 'text')
      .addColumn('expires_at_ms', 'bigint')
      .addColumn('revoked_at_ms', 'bigint')
      .execute();
    await schema.createIndex('api_key_project').on('api_key').column('project_id').execute();

    await schema
      .createTable('api_key_secret')
      .addColumn('hash', kind === 'sqlite' ? 'blob' : 'bytea', (column) => column.primaryKey())
      .addColumn('key_id', 'text', (column) => column.notNull().references('api_key.id'))
      .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
      .addColumn('expires_at_ms', 'bigint')
      .execute();
    await schema.createIndex('api_key_secret_key').on('api_key_secret').column('key_id').execute();

    // The name of what is archived is free again.
    const unarchived = sql<boolean>`archived_at_ms is null`;
    await schema
      .createIndex('organization_name')
      .on('organization')
      .column('name')
      .unique()
      .where(unarchived)
      .execute();
    await schema
      .createIndex('project_name')
      .on('project')
      .columns(['organization_id', 'name'])
      .unique()
      .where(unarchived)
      .execute();
  },
};

/** What organizations, projects and keys have in common. */
function owner<T extends string, C extends string>(table: CreateTableBuilder<T, C>) {
  return table
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('demands', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('requests_per_minute', 'bigint')
    .addColumn('tokens_per_minute', 'bigint')
    .addColumn('concurrency', 'bigint')
    .addColumn('nano_usd_per_day', 'bigint')
    .addColumn('nano_usd_per_month', 'bigint');
}
