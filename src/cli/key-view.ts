import { type ApiKey, ApiKeys } from '../store/api-keys.ts';
import type { Database } from '../store/database.ts';
import { findOrganization, findProject } from '../store/named.ts';
import { type Organization, Organizations } from '../store/organizations.ts';
import { type Project, Projects } from '../store/projects.ts';
import { limitsText } from './terms-flags.ts';
import { textTable } from './text-table.ts';
import { refuse } from './with-database.ts';

/** A key, whom it belongs to, and whether it is good for anything. */
export interface KeyView extends ApiKey {
  readonly state: 'valid' | 'expired' | 'revoked' | 'archived';
  readonly project: string;
  readonly organization: string;
}

/** Names or ids. Undefined: all. */
export interface KeysWithin {
  readonly organization?: string | undefined;
  readonly project?: string | undefined;
}

/** The oldest first. @throws AppError if there is no such organization or project */
export async function keyViews(
  database: Database,
  within: KeysWithin,
  nowMs: number,
): Promise<readonly KeyView[]> {
  const { organizationId, projectId } = await idsOf(database, within);
  const projects = await byId(new Projects(database).list({ organizationId }));
  const organizations = await byId(new Organizations(database).list());
  const keys = await new ApiKeys(database).list({ projectId });
  return keys.flatMap((key) => {
    const project = projects.get(key.projectId);
    return project ? [viewOf(key, project, organizations.get(project.organizationId)!, nowMs)] : [];
  });
}

async function idsOf(database: Database, { organization, project }: KeysWithin) {
  if (project !== undefined) {
    const found = await findProject(database, { organization, project });
    if (found === undefined) throw refuse(`there is no project \`${project}\``);
    return { projectId: found.id };
  }
  if (organization === undefined) return {};
  const found = await findOrganization(database, organization);
  if (found === undefined) throw refuse(`there is no organization \`${organization}\``);
  return { organizationId: found.id };
}

async function byId<T extends { readonly id: string }>(
  list: Promise<readonly T[]>,
): Promise<ReadonlyMap<string, T>> {
  return new Map((await list).map((one) => [one.id, one]));
}

function viewOf(key: ApiKey, project: Project, organization: Organization, nowMs: number): KeyView {
  const state = () => {
    if (key.revokedAtMs !== undefined) return 'revoked';
    if (project.archivedAtMs !== undefined || organization.archivedAtMs !== undefined) return 'archived';
    return key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs ? 'expired' : 'valid';
  };
  return { ...key, state: state(), project: project.name, organization: organization.name };
}

export function keyTable(keys: readonly KeyView[]): string {
  const rows = keys.map((key) => [
    key.id,
    key.name,
    `${key.organization}/${key.project}`,
    key.role,
    key.state,
    dateText(key.expiresAtMs),
    limitsText(key.limits),
    [...(key.models ?? []), ...(key.endpoints ?? [])].join(' ') || 'all',
  ]);
  return textTable(['ID', 'NAME', 'PROJECT', 'ROLE', 'STATE', 'EXPIRES', 'LIMITS', 'ONLY FOR'], rows);
}

export function dateText(atMs: number | undefined): string {
  return atMs === undefined ? 'never' : `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
