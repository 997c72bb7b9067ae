import { type Caller, isBound, ROLES } from '../../core/caller.ts';
import { AppError } from '../../core/error.ts';
import { invalidValue } from '../openai/invalid-request.ts';
import type { TenantAdmin } from './tenant-admin.ts';

/** As much of what is kept as the caller may see and change: everything, or what belongs to its own organization. */
export function reachOf(admin: TenantAdmin, caller: Caller | undefined): TenantAdmin {
  return caller === undefined || !isBound(caller.role)
    ? admin
    : withinOrganization(admin, caller.organizationId);
}

/**
 * One organization, as if there were nothing else. Its share of what all use together stays the operator's to set,
 * and more projects divide it. Keys that may do more than it may itself stay the operator's, too.
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
        return await projects.create(given, 'own-share');
      },
      list: async (within) =>
        (within.organizationId ?? own) === own ? await projects.list({ ...within, organizationId: own }) : [],
      get: ownProject,
      async update(id, change) {
        requireNoShare(change);
        if ((await ownProject(id)) === undefined) return undefined;
        // What is done to a project is done to all its keys.
        const concernsKeys = change.limits !== undefined || change.demands !== undefined;
        return await projects.update(id, change, concernsKeys ? GRANTABLE : undefined);
      },
      archive: async (id) =>
        (await ownProject(id)) !== undefined && (await projects.archive(id, GRANTABLE, 'own-share')),
    },
    keys: {
      async create(given) {
        if ((await ownProject(given.projectId)) === undefined)
          throw invalidValue('projectId', 'names no project that there is');
        return await keys.create(given, GRANTABLE);
      },
      list: (within) => keys.list({ ...within, organizationId: own }),
      get: ownKey,
      update: async (id, change) => (await ownKey(id)) && (await keys.update(id, change, GRANTABLE)),
      rotate: async (id, rotation) => (await ownKey(id)) && (await keys.rotate(id, rotation, GRANTABLE)),
      revoke: async (id) => (await ownKey(id)) !== undefined && (await keys.revoke(id, GRANTABLE)),
    },
  };
}

/** Roles of keys that an organization has to do with; those of all others are the operator's. */
const GRANTABLE = ROLES.filter((role) => role === 'user' || isBound(role));

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
