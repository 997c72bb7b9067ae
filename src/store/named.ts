import { openProject, unarchived } from './archive.ts';
import type { Database } from './database.ts';
import { type Organization, Organizations, organizationOf } from './organizations.ts';
import { type Project, Projects, projectOf } from './projects.ts';
import { changingTogether } from './revision.ts';
import { invalid } from './terms.ts';

const DEFAULT_NAME = 'default';

/** By name or id. Undefined: there is none, or it is archived. */
export async function findOrganization(
  { kysely }: Database,
  nameOrId: string = DEFAULT_NAME,
): Promise<Organization | undefined> {
  const row = await unarchived(
    kysely,
    'organization',
    isOrganizationId(nameOrId) ? { id: nameOrId } : { name: nameOrId },
  );
  return row && organizationOf(row);
}

/** By id; or by name, in the organization of that name or id. Undefined: there is none, or it is archived. @throws AppError `invalid_value` */
export async function findProject(
  database: Database,
  { project = DEFAULT_NAME, organization }: ProjectName,
): Promise<Project | undefined> {
  if (isProjectId(project) && organization !== undefined)
    throw invalid('organization', 'is not told beside the id of a project');
  const within = isProjectId(project) ? undefined : await findOrganization(database, organization);
  if (!isProjectId(project) && within === undefined) return undefined;
  const where = within === undefined ? { id: project } : { name: project, organization_id: within.id };
  const row = await openProject(database.kysely, where);
  return row && projectOf(row);
}

/** Each a name or an id. Undefined: `default`. */
export interface ProjectName {
  readonly organization?: string | undefined;
  readonly project?: string | undefined;
}

/**
 * The project that a key is to be made in. It and its organization are made if they have a name and are not there.
 *
 * @returns What was made, in words, too.
 * @throws AppError `invalid_value` where there is none of that id
 */
export async function projectFor(
  database: Database,
  name: ProjectName,
): Promise<{ readonly project: Project; readonly made: readonly string[] }> {
  const { project: projectName = DEFAULT_NAME } = name;
  const found = await findProject(database, name);
  if (found !== undefined) return { project: found, made: [] };
  if (isProjectId(projectName)) throw invalid('project', 'names no project that there is');
  return changingTogether(database, async (together) => {
    const { organization, made } = await organizationFor(together, name.organization);
    const organizationId = organization.id;
    // Another process may have made it meanwhile.
    const theirs = await findProject(together, { project: projectName, organization: organizationId });
    if (theirs !== undefined) return { project: theirs, made };
    const project = await new Projects(together).create({ name: projectName, organizationId });
    return { project, made: [...made, `project ${projectName}`] };
  });
}

/** An organization by name or id: made if it has a name and is not there. @throws AppError `invalid_value` */
export async function organizationFor(
  database: Database,
  nameOrId: string = DEFAULT_NAME,
): Promise<{ readonly organization: Organization; readonly made: readonly string[] }> {
  const found = await findOrganization(database, nameOrId);
  if (found !== undefined) return { organization: found, made: [] };
  if (isOrganizationId(nameOrId)) throw invalid('organization', 'names no organization that there is');
  return changingTogether(database, async (together) => {
    const theirs = await findOrganization(together, nameOrId);
    if (theirs !== undefined) return { organization: theirs, made: [] };
    const organization = await new Organizations(together).create({ name: nameOrId });
    return { organization, made: [`organization ${nameOrId}`] };
  });
}

function isOrganizationId(text: string): boolean {
  return text.startsWith('org_');
}

function isProjectId(text: string): boolean {
  return text.startsWith('proj_');
}
