import { ApiKeys, type NewApiKey } from '../store/api-keys.ts';
import { asking } from '../store/asking.ts';
import type { Database } from '../store/database.ts';
import type { KeyRoles } from '../store/key-roles.ts';
import { Organizations } from '../store/organizations.ts';
import { Projects } from '../store/projects.ts';
import { newApiKey } from './api-key.ts';

/**
 * Organizations, projects and keys, kept in the database. Secrets are made here and told once.
 *
 * @param database Throws where it is not open.
 * @param changed Resolves when this process knows of what has changed; others notice by themselves.
 */
export function tenantAdmin(database: () => Database, changed: () => Promise<void>) {
  const organizations = kept(() => new Organizations(database()), changed);
  const projects = kept(() => new Projects(database()), changed);
  const keys = () => new ApiKeys(database());
  return {
    organizations,
    projects,
    keys: {
      create: (given: Omit<NewApiKey, 'id' | 'hash'>, roles?: KeyRoles) =>
        changing(async () => {
          const { id, hash, secret } = newApiKey();
          return { ...(await keys().create({ ...given, id, hash }, roles)), secret };
        }, changed),
      list: (within: Parameters<ApiKeys['list']>[0]) => asking(() => keys().list(within)),
      get: (id: string) => asking(() => keys().get(id)),
      update: (...given: Parameters<ApiKeys['update']>) => changing(() => keys().update(...given), changed),
      rotate: (id: string, rotation: Parameters<ApiKeys['rotate']>[2], roles?: KeyRoles) =>
        changing(async () => {
          const { hash, secret } = newApiKey();
          const key = await keys().rotate(id, hash, rotation, roles);
          return key && { ...key, secret };
        }, changed),
      revoke: (id: string, roles?: KeyRoles) => changing(() => keys().revoke(id, roles), changed),
    },
  };
}

interface Table<New extends readonly unknown[], Page, Change, Row, End extends readonly unknown[]> {
  create(...given: New): Promise<Row>;
  list(within: Page): Promise<readonly Row[]>;
  get(id: string): Promise<Row | undefined>;
  update(id: string, change: Change, roles?: KeyRoles): Promise<Row | undefined>;
  archive(...ended: End): Promise<boolean>;
}

function kept<New extends readonly unknown[], Page, Change, Row, End extends readonly unknown[]>(
  table: () => Table<New, Page, Change, Row, End>,
  changed: () => Promise<void>,
): Table<New, Page, Change, Row, End> {
  return {
    create: (...given) => changing(() => table().create(...given), changed),
    list: (within) => asking(() => table().list(within)),
    get: (id) => asking(() => table().get(id)),
    update: (...given) => changing(() => table().update(...given), changed),
    archive: (...given) => changing(() => table().archive(...given), changed),
  };
}

async function changing<T>(work: () => Promise<T>, changed: () => Promise<void>): Promise<T> {
  const result = await asking(work);
  await changed();
  return result;
}
