import type { Kysely } from 'kysely';
import type { DatabaseLocation } from './location.ts';
import { tenants } from './migrations/001-tenants.ts';
import { ledger } from './migrations/002-ledger.ts';
import { spent } from './migrations/003-spent.ts';
import { attempts } from './migrations/004-attempts.ts';
import { attemptsByTime } from './migrations/005-attempts-by-time.ts';
import { attemptsByDay } from './migrations/006-attempts-by-day.ts';
import { keysByAge } from './migrations/007-keys-by-age.ts';
import { ended } from './migrations/008-ended.ts';

/** One change of the tables. What has been released never changes; a mistake in it is corrected by another migration. */
export interface Migration {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: the tables are as they were then, not as `Schema` has them now.
  up(kysely: Kysely<any>, kind: DatabaseLocation['kind']): Promise<void>;
}

/** In the order in which they are made. The number of a migration is its place, from 1. */
export const MIGRATIONS: readonly Migration[] = [
  tenants,
  ledger,
  spent,
  attempts,
  attemptsByTime,
  attemptsByDay,
  keysByAge,
  ended,
];
