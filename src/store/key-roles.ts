import { type Kysely, sql } from 'kysely';
import type { Role } from '../core/caller.ts';
import { AppError } from '../core/error.ts';
import type { Schema } from './schema.ts';

/**
 * The roles of keys that whoever makes or changes something may affect. Undefined: all. To be checked in the
 * transaction of the change.
 */
export type KeyRoles = readonly Role[] | undefined;

/** @throws AppError `permission_denied` */
export function requireRole(role: Role, roles: KeyRoles): void {
  if (roles === undefined || roles.includes(role)) return;
  throw new AppError('permission_denied', {
    message: `Keys with the role \`${role}\` are the operator’s to make and to change.`,
  });
}

/** What is done to a project is done to all its keys that are good. @throws AppError `permission_denied` */
export async function requireRolesIn(
  transaction: Kysely<Schema>,
  projectId: string,
  roles: KeyRoles,
  nowMs: number,
): Promise<void> {
  if (roles === undefined) return;
  const other = await transaction
    .selectFrom('api_key')
    .select('role')
    .where('project_id', '=', projectId)
    .where('role', 'not in', roles)
    .where('revoked_at_ms', 'is', null)
    .where(sql<boolean>`coalesce(expires_at_ms > ${nowMs}, true)`)
    .limit(1)
    .executeTakeFirst();
  if (other !== undefined) requireRole(other.role as Role, roles);
}
