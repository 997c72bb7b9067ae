import { type Kysely, type RawBuilder, type Selectable, type SqlBool, sql } from 'kysely';
import type { Schema } from './schema.ts';

/** A part of a list, the oldest first. */
export interface Page {
  /** Only those behind the one of this id. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** @param only What holds of all of them. */
export async function pageOf<T extends 'organization' | 'project' | 'api_key'>(
  kysely: Kysely<Schema>,
  name: T,
  { after, limit }: Page,
  only: readonly RawBuilder<SqlBool>[] = [],
): Promise<readonly Selectable<Schema[T]>[]> {
  const table = sql.table(name);
  // Of an id that is not among them nothing is told, not even that it is there.
  const last = sql.join([sql`id = ${after}`, ...only], sql` and `);
  const behind =
    after === undefined
      ? []
      : [sql`(created_at_ms, id) > (select created_at_ms, id from ${table} where ${last})`];
  const where = sql.join([sql`true`, ...only, ...behind], sql` and `);
  const cut = limit === undefined ? sql`` : sql`limit ${limit}`;
  const { rows } = await sql<Selectable<Schema[T]>>`
    select * from ${table} where ${where} order by created_at_ms, id ${cut}`.execute(kysely);
  return rows;
}
