import type { PostgresPool, PostgresPoolClient } from 'kysely';
import { DatabaseError, Pool, type PoolClient, types } from 'pg';

const MAX_CONNECTIONS = 10;

/**
 * Connections to a PostgreSQL server, made as they are needed. BIGINT and NUMERIC arrive as numbers.
 *
 * @param timeoutMs What one statement may take, and connecting.
 */
export function connectPostgres(url: string, timeoutMs: number): PostgresPool {
  const pool = new Pool({
    connectionString: url,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    statement_timeout: timeoutMs,
    idle_in_transaction_session_timeout: timeoutMs,
    keepAlive: true,
    application_name: 'qianmen',
    types: {
      getTypeParser: (oid, format) => (NUMBERS.has(oid) ? exactNumber : types.getTypeParser(oid, format)),
    },
  });
  // An idle connection that breaks is replaced when the next is needed; whoever needs it is told then.
  pool.on('error', () => {});
  return {
    options: pool.options,
    connect: async () => discardedWhenBroken(await pool.connect()),
    end: () => pool.end(),
  };
}

const NUMBERS: ReadonlySet<number> = new Set([types.builtins.INT8, types.builtins.NUMERIC]);

/** @throws RangeError for a whole number that a double cannot hold */
function exactNumber(text: string): number {
  const number = Number(text);
  if (/^-?\d+$/.test(text) && !Number.isSafeInteger(number))
    throw new RangeError(`${text} in the database is too large to count with`);
  return number;
}

/**
 * A connection on which something other than a statement failed (it timed out, the server went away) may still be in
 * a transaction: it is closed instead of going back.
 */
function discardedWhenBroken(client: PoolClient): PostgresPoolClient {
  let broken = false;
  // Between two statements nobody else listens, and an error that nobody hears ends the process.
  const onError = () => {
    broken = true;
  };
  client.on('error', onError);
  const query = (sql: string, parameters: unknown[]) =>
    client.query(sql, parameters).catch((error: unknown) => {
      broken ||= !(error instanceof DatabaseError);
      throw error;
    });
  // Kysely's other way to call it, with a cursor, is for streams, which nobody here asks for.
  return {
    query: query as unknown as PostgresPoolClient['query'],
    release() {
      client.off('error', onError);
      client.release(broken);
    },
  };
}
