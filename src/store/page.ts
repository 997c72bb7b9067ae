import { type RawBuilder, type SqlBool, sql } from 'kysely';

/** A part of a list, the oldest first. */
export interface Page {
  /** Only those behind the one of this id. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** In a query of that table: behind the row of that id. */
export function isAfter(table: 'organization' | 'project' | 'api_key', id: string): RawBuilder<SqlBool> {
  const of = sql.table(table);
  return sql`(created_at_ms, id) > (select created_at_ms, id from ${of} where id = ${id})`;
}
