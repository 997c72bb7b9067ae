import { expressionBuilder, type InferResult } from 'kysely';
import { strictest } from '../../routers/constraints.ts';
import type { Caller } from '../core/caller.ts';
import type { RouteDemands } from '../core/demands.ts';
import { scopeOf } from './api-keys.ts';
import type { Database } from './database.ts';
import type { Schema } from './schema.ts';
import { LIMIT_COLUMNS, limitsOf } from './terms.ts';

export interface Finding {
  /** Undefined: nobody's; or the key is revoked, has expired, or its project or organization is archived. */
  readonly key: KnownKey | undefined;
  /** As `keyRevision`, at the same moment. */
  readonly revision: number;
}

/** A valid API key. */
export interface KnownKey {
  readonly caller: Caller;
  /** Of the key, or of this secret of it, Unix milliseconds; undefined: it does not expire. */
  readonly expiresAtMs?: number | undefined;
}

/**
 * Whom a secret belongs to.
 *
 * @param hash SHA-256 of it, 32 bytes.
 */
export async function findCaller({ kysely }: Database, hash: Buffer, nowMs: number): Promise<Finding> {
  const { revision, ...row } = await kysely
    .selectFrom('key_revision')
    .leftJoin(livingKey(hash).as('found'), (join) => join.onTrue())
    .selectAll('found')
    .select('key_revision.revision')
    .executeTakeFirstOrThrow();
  return { key: row.id === null ? undefined : keyOf(row as KeyRow, nowMs), revision };
}

type KeyRow = InferResult<ReturnType<typeof livingKey>>[number];

function livingKey(hash: Buffer) {
  return expressionBuilder<Schema>()
    .selectFrom('api_key_secret as secret')
    .innerJoin('api_key as key', 'key.id', 'secret.key_id')
    .innerJoin('project', 'project.id', 'key.project_id')
    .innerJoin('organization', 'organization.id', 'project.organization_id')
    .select(['key.id', 'key.project_id', 'project.organization_id', 'project.weight', 'project.priority'])
    .select(['key.role', 'key.models', 'key.endpoints', 'key.expires_at_ms'])
    .select(['secret.expires_at_ms as secret_expires_at_ms'])
    .select([...limitColumns('key'), ...limitColumns('project'), ...limitColumns('organization')])
    .select(['key.demands', 'project.demands as project_demands'])
    .select('organization.demands as organization_demands')
    .where('secret.hash', '=', hash)
    .where('key.revoked_at_ms', 'is', null)
    .where('project.archived_at_ms', 'is', null)
    .where('organization.archived_at_ms', 'is', null);
}

/** Undefined: it has expired. */
function keyOf(row: KeyRow, nowMs: number): KnownKey | undefined {
  const { expiresAtMs: keyExpiresAtMs, ...scope } = scopeOf(row);
  const endsAtMs = Math.min(keyExpiresAtMs ?? NEVER, row.secret_expires_at_ms ?? NEVER);
  if (endsAtMs <= nowMs) return undefined;
  const demands = [row.demands, row.project_demands, row.organization_demands].map(
    (json): RouteDemands => JSON.parse(json),
  );
  const caller: Caller = {
    keyId: row.id,
    projectId: row.project_id,
    organizationId: row.organization_id,
    ...scope,
    weight: row.weight,
    priority: row.priority,
    demands: demands.reduce(strictest),
    limits: {
      key: limitsOf((name) => row[`key_${name}`]),
      project: limitsOf((name) => row[`project_${name}`]),
      organization: limitsOf((name) => row[`organization_${name}`]),
    },
  };
  return { caller, expiresAtMs: endsAtMs === NEVER ? undefined : endsAtMs };
}

const NEVER = Number.POSITIVE_INFINITY;

/** All three have limits: each under names of its own. */
function limitColumns<T extends 'key' | 'project' | 'organization'>(table: T) {
  return Object.values(LIMIT_COLUMNS).map((column) => `${table}.${column} as ${table}_${column}` as const);
}
