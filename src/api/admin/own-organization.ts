import { type Caller, isBound, type Role } from '../../core/caller.ts';
import { AppError } from '../../core/error.ts';
import { invalidValue } from '../openai/invalid-request.ts';
import type { TenantAdmin } from './tenant-admin.ts';

/** Of what is kept, as much as the caller may see and change: all, or what belongs to its own organization. */
export function reachOf(admin: TenantAdmin, caller: Caller | undefined): TenantAdmin {
  return caller === undefined || !isBound(caller.role)
    ? admin
    : withinOrganization(admin, caller.organizationId);
}

/**
 * One organization: nothing else is there. Its share of what all use together stays the operator's to set, and so do keys that may more than
 * it may itself.
 */
function withinOrganization({ organizations, projects, keys }: TenantAdmin, own: string): TenantAdmin {
  const denied = () => Promise.reject(new AppError('permission_denied'));
  const ownProject = async (id: string) => {
    const project = await projects.get(id);
    return project?.organizationId === own ? project : undefined;
  };
  const ownKey = async (id: string) => {
    const key = await keys.get(id);
    return key !== undefined && (await ownProject(key.projectId)) ? key : undefined;
  };
  const changeableKey = async (id: string) => {
    const key = await ownKey(id);
    if (key !== undefined) requireGrantable(key.role);
    return key;
  };
  /** What is done to a project is done to all its keys. */
  const requireGrantableKeys = async (projectId: string) => {
    let after: string | undefined;
    do {
      const page = await keys.list({ projectId, limit: KEYS_PER_PAGE, after });
      for (const { role, revokedAtMs } of page) if (revokedAtMs === undefined) requireGrantable(role);
      after = page.at(-1)?.id;
    } while (after !== undefined);
  };
  return {
    organizations: {
      create: denied,
      list: async ({ after }) => {
        const organization = after === undefined ? await organizations.get(own) : undefined;
        return organization === undefined ? [] : [organization];
      },
      get: async (id) => (id === own ? await organizations.get(id) : undefined),
      update: denied,
      archive: denied,
    },
    projects: {
      async create(given) {
        if (given.organizationId !== own)
          throw invalidValue('organizationId', 'names no organization that there is');
        requireNoShare(given);
        return await projects.create(given);
      },
      list: async (within) =>
        (within.organizationId ?? own) === own ? await projects.list({ ...within, organizationId: own }) : [],
      get: ownProject,
      async update(id, change) {
        requireNoShare(change);
        if ((await ownProject(id)) === undefined) return undefined;
        if (change.limits !== undefined || change.demands !== undefined) await requireGrantableKeys(id);
        return await projects.update(id, change);
      },
      async archive(id) {
        if ((await ownProject(id)) === undefined) return false;
        await requireGrantableKeys(id);
        return await projects.archive(id);
      },
    },
    keys: {
      async create(given) {
        if ((await ownProject(given.projectId)) === undefined)
          throw invalidValue('projectId', 'names no project that there is');
        requireGrantable(given.role);
        return await keys.create(given);
      },
      list: (within) => keys.list({ ...within, organizationId: own }),
      get: ownKey,
      async update(id, change) {
        requireGrantable(change.role);
        return (await changeableKey(id)) && (await keys.update(id, change));
      },
      rotate: async (id, rotation) => (await changeableKey(id)) && (await keys.rotate(id, rotation)),
      revoke: async (id) => (await changeableKey(id)) !== undefined && (await keys.revoke(id)),
    },
  };
}

const KEYS_PER_PAGE = 1_000;

/** @throws AppError `permission_denied` */
function requireGrantable(role: Role | undefined): void {
  if (role === undefined || role === 'user' || isBound(role)) return;
  throw new AppError('permission_denied', {
    message: `Keys with the role \`${role}\` are the operator’s to make and to change.`,
  });
}

/** @throws AppError `permission_denied` */
function requireNoShare({
  weight,
  priority,
}: {
  weight?: number | undefined;
  priority?: number | undefined;
}) {
  if (weight === undefined && priority === undefined) return;
  throw new AppError('permission_denied', {
    message: 'A project’s weight and priority beside those of others are the operator’s to set.',
  });
}
