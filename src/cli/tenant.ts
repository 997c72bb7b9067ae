import type { Command } from 'commander';
import type { Database } from '../store/database.ts';
import { findOrganization, findProject, organizationFor, projectFor } from '../store/named.ts';
import { type Organization, Organizations } from '../store/organizations.ts';
import { type Project, Projects } from '../store/projects.ts';
import { changingTogether } from '../store/revision.ts';
import { decimal, wholeNumber } from './flag-values.ts';
import type { Environment } from './run.ts';
import { demandsText, limitsText, type TermsFlags, termsChange, withTermsOptions } from './terms-flags.ts';
import { textTable } from './text-table.ts';
import {
  type DatabaseFlags,
  jsonText,
  refuse,
  tellMade,
  warnOfUnserved,
  withDatabase,
  withDatabaseOptions,
} from './with-database.ts';

interface SetFlags extends DatabaseFlags, TermsFlags {
  readonly name?: string;
}

/** `qianmen organization …` */
export function addOrganizationCommands(program: Command, env: Environment): void {
  const organization = program
    .command('organization')
    .description('list organizations, and what each may use altogether');

  const listing = organization.command('list').description('list organizations');
  withDatabaseOptions(listing).action((flags: DatabaseFlags) =>
    withDatabase(flags, env, async (database) => {
      show(flags, (await new Organizations(database).list()).filter(isUnarchived), organizationTable);
    }),
  );

  const setting = organization
    .command('set')
    .description('change an organization; one that has a name and is not there is made')
    .argument('<name|id>')
    .option('--name <text>', 'another name');
  withDatabaseOptions(withTermsOptions(setting)).action((nameOrId: string, flags: SetFlags) =>
    withDatabase(flags, env, async (database, config) => {
      const change = { name: flags.name, ...termsChange(flags) };
      const { set, made } = await changingTogether(database, async (together) => {
        const { organization, made } = await organizationFor(together, nameOrId);
        const after = await new Organizations(together).update(organization.id, change);
        return { set: after ?? organization, made };
      });
      tellMade(made);
      warnOfUnserved(flags, config, change);
      show(flags, [set], organizationTable);
    }),
  );

  const archiving = organization
    .command('archive')
    .description('end an organization with all its projects and keys; its usage is kept')
    .argument('<name|id>');
  withDatabaseOptions(archiving).action((nameOrId: string, flags: DatabaseFlags) =>
    withDatabase(flags, env, async (database) => {
      const found = await findOrganization(database, nameOrId);
      if (found === undefined) throw refuse(`there is no organization \`${nameOrId}\``);
      await new Organizations(database).archive(found.id);
      tellArchived(flags, found);
    }),
  );
}

/** `qianmen project …` */
export function addProjectCommands(program: Command, env: Environment): void {
  const project = program.command('project').description('list projects, their shares and what each may use');

  const listing = project
    .command('list')
    .description('list projects')
    .option('--organization <name|id>', 'only its projects');
  withDatabaseOptions(listing).action((flags: DatabaseFlags & { readonly organization?: string }) =>
    withDatabase(flags, env, async (database) => {
      const { organization: name } = flags;
      const within = name === undefined ? undefined : await findOrganization(database, name);
      if (name !== undefined && within === undefined) throw refuse(`there is no organization \`${name}\``);
      const organizations = await organizationNames(database);
      const projects = await new Projects(database).list({ organizationId: within?.id });
      const open = projects.filter((one) => isUnarchived(one) && organizations.has(one.organizationId));
      show(flags, open, projectTable(organizations));
    }),
  );

  const setting = project
    .command('set')
    .description('change a project; one that has a name and is not there is made')
    .argument('<name|id>')
    .option('--organization <name|id>', 'whose it is (default: "default")')
    .option('--name <text>', 'another name')
    .option(
      '--weight <number>',
      'its share when there is not enough for all: 2 gets twice what 1 gets',
      decimal,
    )
    .option('--priority <number>', 'a lower one is served before all higher ones', wholeNumber);
  withDatabaseOptions(withTermsOptions(setting)).action((nameOrId: string, flags: ProjectFlags) =>
    withDatabase(flags, env, async (database, config) => {
      const { organization, name, weight, priority } = flags;
      const change = { name, weight, priority, ...termsChange(flags) };
      const { set, made } = await changingTogether(database, async (together) => {
        const { project, made } = await projectFor(together, { organization, project: nameOrId });
        const after = await new Projects(together).update(project.id, change);
        return { set: after ?? project, made };
      });
      tellMade(made);
      warnOfUnserved(flags, config, change);
      show(flags, [set], projectTable(await organizationNames(database)));
    }),
  );

  const archiving = project
    .command('archive')
    .description('end a project with all its keys; its usage is kept')
    .argument('<name|id>')
    .option('--organization <name|id>', 'whose it is (default: "default")');
  withDatabaseOptions(archiving).action(
    (nameOrId: string, flags: DatabaseFlags & { readonly organization?: string }) =>
      withDatabase(flags, env, async (database) => {
        const found = await findProject(database, { organization: flags.organization, project: nameOrId });
        if (found === undefined) throw refuse(`there is no project \`${nameOrId}\``);
        await new Projects(database).archive(found.id);
        tellArchived(flags, found);
      }),
  );
}

interface ProjectFlags extends SetFlags {
  readonly organization?: string;
  readonly weight?: number;
  readonly priority?: number;
}

function isUnarchived({ archivedAtMs }: Organization | Project): boolean {
  return archivedAtMs === undefined;
}

function show<T>(flags: DatabaseFlags, list: readonly T[], table: (list: readonly T[]) => string): void {
  process.stdout.write(flags.json ? jsonText(list) : table(list));
}

function tellArchived({ json }: DatabaseFlags, { id, name }: Organization | Project): void {
  process.stdout.write(
    json ? jsonText({ id, archived: true }) : `${name} (${id}) is archived, and its keys are refused.\n`,
  );
}

function organizationTable(list: readonly Organization[]): string {
  const rows = list.map(({ id, name, limits, demands }) => [
    id,
    name,
    limitsText(limits),
    demandsText(demands),
  ]);
  return textTable(['ID', 'NAME', 'LIMITS', 'DEMANDS'], rows);
}

/** By id, of those that are not archived. */
async function organizationNames(database: Database): Promise<ReadonlyMap<string, string>> {
  const all = (await new Organizations(database).list()).filter(isUnarchived);
  return new Map(all.map(({ id, name }) => [id, name]));
}

function projectTable(organizations: ReadonlyMap<string, string>) {
  return (list: readonly Project[]) => {
    const rows = list.map(({ id, name, organizationId, weight, priority, limits, demands }) => [
      id,
      name,
      organizations.get(organizationId)!,
      `${weight}`,
      `${priority}`,
      limitsText(limits),
      demandsText(demands),
    ]);
    return textTable(['ID', 'NAME', 'ORGANIZATION', 'WEIGHT', 'PRIORITY', 'LIMITS', 'DEMANDS'], rows);
  };
}
