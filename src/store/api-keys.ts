import { type Kysely, type RawBuilder, type Selectable, type SqlBool, sql } from 'kysely';
import { ROLES, type Role } from '../core/caller.ts';
import { openProject } from './archive.ts';
import type { Database } from './database.ts';
import { type KeyRoles, requireRole } from './key-roles.ts';
import { type Page, pageOf } from './page.ts';
import { changingKeys } from './revision.ts';
import type { ApiKeySecretTable, ApiKeyTable, Schema } from './schema.ts';
import {
  changedTerms,
  invalid,
  isText,
  merged,
  NO_TERMS,
  type Terms,
  type TermsChange,
  termsColumns,
  termsOf,
} from './terms.ts';

/** What is known of an API key: never its secret, nor the hash of it. */
export interface ApiKey extends Terms {
  readonly id: string;
  readonly projectId: string;
  readonly role: Role;
  /** Public names of models that it is for; undefined: all. */
  readonly models?: readonly string[] | undefined;
  /** Paths that it is for; undefined: all. */
  readonly endpoints?: readonly string[] | undefined;
  readonly createdAtMs: number;
  readonly expiresAtMs?: number | undefined;
  readonly revokedAtMs?: number | undefined;
}

/** Of `models`, `endpoints` and `expiresAtMs` null means: no such bound. */
export interface ApiKeyChange extends TermsChange {
  readonly role?: Role | undefined;
  readonly models?: readonly string[] | null | undefined;
  readonly endpoints?: readonly string[] | null | undefined;
  readonly expiresAtMs?: number | null | undefined;
}

export interface NewApiKey extends ApiKeyChange {
  readonly id: string;
  /** SHA-256 of the secret, 32 bytes. */
  readonly hash: Buffer;
  readonly name: string;
  readonly projectId: string;
}

const HASH_BYTES = 32;
/** Of a later time there is no date to show. */
const LAST_MS = 8_640_000_000_000_000;

export class ApiKeys {
  readonly #database: Database;
  readonly #now: () => number;

  /** @param now Milliseconds since 1970. */
  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /** @throws AppError `invalid_value`, also where there is no such project; `permission_denied` */
  async create(given: NewApiKey, roles?: KeyRoles): Promise<ApiKey> {
    const { id, projectId, name, hash } = given;
    const nowMs = this.#now();
    const secret = secretRow(id, hash, nowMs);
    const row = {
      id,
      project_id: projectId,
      ...columnsOf({ ...NO_TERMS, name, role: 'user' }, given, nowMs, roles),
      created_at_ms: nowMs,
      revoked_at_ms: null,
    };
    await changingKeys(this.#database, async (transaction) => {
      if (!(await openProject(transaction, { id: projectId })))
        throw invalid('projectId', 'names no project that there is');
      await transaction.insertInto('api_key').values(row).execute();
      await transaction.insertInto('api_key_secret').values(secret).execute();
    });
    return apiKeyOf(row);
  }

  /** Also those that are revoked or have expired. The oldest first. */
  async list({
    projectId,
    organizationId,
    ...page
  }: Page & {
    readonly projectId?: string | undefined;
    readonly organizationId?: string | undefined;
  } = {}): Promise<readonly ApiKey[]> {
    const only: RawBuilder<SqlBool>[] = [];
    if (projectId !== undefined) only.push(sql`project_id = ${projectId}`);
    if (organizationId !== undefined)
      only.push(sql`project_id in (select id from project where organization_id = ${organizationId})`);
    return (await pageOf(this.#database.kysely, 'api_key', page, only)).map(apiKeyOf);
  }

  async get(id: string): Promise<ApiKey | undefined> {
    const row = await this.#database.kysely
      .selectFrom('api_key')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    return row && apiKeyOf(row);
  }

  /** Whether there has ever been one: a gateway that had keys does not open up when the last one ends. */
  async any(): Promise<boolean> {
    const row = await this.#database.kysely.selectFrom('api_key').select('id').limit(1).executeTakeFirst();
    return row !== undefined;
  }

  /** @returns Undefined: there is none, or it has ended. @throws AppError `invalid_value`, `permission_denied` */
  async update(id: string, change: ApiKeyChange, roles?: KeyRoles): Promise<ApiKey | undefined> {
    return changingKeys(this.#database, async (transaction) => {
      const row = await living(transaction, id, roles);
      if (row === undefined) return undefined;
      const columns = columnsOf(apiKeyOf(row), change, this.#now(), roles);
      await transaction.updateTable('api_key').set(columns).where('id', '=', id).execute();
      return apiKeyOf({ ...row, ...columns });
    });
  }

  /**
   * Gives the key another secret. Earlier ones stay valid for `overlapMs` more, but no longer than the key was.
   * Usage and limits stay those of the one key.
   *
   * @param expiresAtMs When the key expires from now on; undefined: as before; null: never.
   * @returns Undefined: there is none, or it has ended.
   * @throws AppError `invalid_value` where it has expired and still would be; `permission_denied`
   */
  async rotate(
    id: string,
    hash: Buffer,
    {
      overlapMs,
      expiresAtMs,
    }: { readonly overlapMs: number; readonly expiresAtMs?: number | null | undefined },
    roles?: KeyRoles,
  ): Promise<ApiKey | undefined> {
    if (!(overlapMs >= 0)) throw invalid('overlapMs', 'must be a number from 0');
    const nowMs = this.#now();
    return changingKeys(this.#database, async (transaction) => {
      const row = await living(transaction, id, roles);
      if (row === undefined) return undefined;
      const columns = columnsOf(
        apiKeyOf(row),
        { expiresAtMs: expiresAtMs === undefined ? row.expires_at_ms : expiresAtMs },
        nowMs,
        roles,
      );
      // Nobody's any more; a key that is rotated for years should not have them all.
      await transaction
        .deleteFrom('api_key_secret')
        .where('key_id', '=', id)
        .where('expires_at_ms', '<=', nowMs)
        .execute();
      const untilMs = Math.min(nowMs + Math.round(overlapMs), row.expires_at_ms ?? Number.MAX_SAFE_INTEGER);
      await transaction
        .updateTable('api_key_secret')
        .set({ expires_at_ms: untilMs })
        .where('key_id', '=', id)
        .where(({ eb, or }) => or([eb('expires_at_ms', 'is', null), eb('expires_at_ms', '>', untilMs)]))
        .execute();
      await transaction.updateTable('api_key').set(columns).where('id', '=', id).execute();
      await transaction
        .insertInto('api_key_secret')
        .values(secretRow(id, hash, nowMs))
        .execute();
      return apiKeyOf({ ...row, ...columns });
    });
  }

  /** At once, with all its secrets, and for good. @returns Whether there was one that was not revoked. @throws AppError `permission_denied` */
  async revoke(id: string, roles?: KeyRoles): Promise<boolean> {
    return changingKeys(this.#database, async (transaction) => {
      if ((await unrevoked(transaction, id, roles)) === undefined) return false;
      const ended = { revoked_at_ms: this.#now() };
      await transaction.updateTable('api_key').set(ended).where('id', '=', id).execute();
      return true;
    });
  }
}

/** @throws AppError `permission_denied` */
async function unrevoked(
  transaction: Kysely<Schema>,
  id: string,
  roles: KeyRoles,
): Promise<Selectable<ApiKeyTable> | undefined> {
  const row = await transaction
    .selectFrom('api_key')
    .selectAll()
    .where('id', '=', id)
    .where('revoked_at_ms', 'is', null)
    .executeTakeFirst();
  if (row !== undefined) requireRole(row.role as Role, roles);
  return row;
}

/** Neither revoked nor ended with its project: whoever was given another secret of such a key would have one that opens nothing. */
async function living(
  transaction: Kysely<Schema>,
  id: string,
  roles: KeyRoles,
): Promise<Selectable<ApiKeyTable> | undefined> {
  const row = await unrevoked(transaction, id, roles);
  return row && (await openProject(transaction, { id: row.project_id })) && row;
}

function secretRow(id: string, hash: Buffer, nowMs: number): Selectable<ApiKeySecretTable> {
  if (hash.length !== HASH_BYTES) throw new RangeError(`a hash has ${HASH_BYTES} bytes, not ${hash.length}`);
  return { hash, key_id: id, created_at_ms: nowMs, expires_at_ms: null };
}

type Scope = Pick<ApiKey, 'role' | 'models' | 'endpoints' | 'expiresAtMs'>;

function columnsOf(before: Terms & Scope, change: ApiKeyChange, nowMs: number, roles: KeyRoles) {
  const { role, models, endpoints, expiresAtMs } = merged<Scope>(before, change);
  if (!ROLES.includes(role)) throw invalid('role', `must be one of ${ROLES.join(', ')}`);
  requireRole(role, roles);
  if (models !== undefined && (models.length === 0 || !models.every(isText)))
    throw invalid('models', 'must name at least one model');
  if (endpoints !== undefined && (endpoints.length === 0 || !endpoints.every(isPath)))
    throw invalid('endpoints', 'must hold at least one path, such as /v1/embeddings');
  const ends = change.expiresAtMs === undefined ? undefined : expiresAtMs;
  if (ends !== undefined && !(Number.isInteger(ends) && ends > nowMs && ends <= LAST_MS))
    throw invalid('expiresAtMs', 'must be a time to come, in milliseconds since 1970');
  return {
    ...termsColumns(changedTerms(before, change)),
    role,
    models: listText(models),
    endpoints: listText(endpoints),
    expires_at_ms: expiresAtMs ?? null,
  };
}

function isPath(text: string): boolean {
  return text.startsWith('/') && isText(text);
}

function listText(list: readonly string[] | undefined): string | null {
  return list === undefined ? null : JSON.stringify(list);
}

function apiKeyOf(row: Selectable<ApiKeyTable>): ApiKey {
  return {
    id: row.id,
    projectId: row.project_id,
    ...termsOf(row),
    ...scopeOf(row),
    createdAtMs: row.created_at_ms,
    revokedAtMs: row.revoked_at_ms ?? undefined,
  };
}

export function scopeOf(row: Pick<ApiKeyTable, 'role' | 'models' | 'endpoints' | 'expires_at_ms'>): Scope {
  const list = (text: string | null): readonly string[] | undefined =>
    text === null ? undefined : JSON.parse(text);
  return {
    role: row.role as Role,
    models: list(row.models),
    endpoints: list(row.endpoints),
    expiresAtMs: row.expires_at_ms ?? undefined,
  };
}
