import { type Selectable, sql } from 'kysely';
import { archive, openProject, unarchived } from './archive.ts';
import type { Database } from './database.ts';
import { newId } from './id.ts';
import { type KeyRoles, requireRolesIn } from './key-roles.ts';
import { refusingTakenName } from './name-taken.ts';
import {
  DEFAULT_SHARE,
  LEAST_WEIGHT,
  leaveOwnShare,
  MOST_WEIGHT,
  type Share,
  takeOwnShare,
} from './own-share.ts';
import { type Page, pageOf } from './page.ts';
import { changingKeys } from './revision.ts';
import type { ProjectTable } from './schema.ts';
import {
  changedTerms,
  invalid,
  NO_TERMS,
  type Terms,
  type TermsChange,
  termsColumns,
  termsOf,
} from './terms.ts';

/** The tenant: what is shared fairly is shared among projects. */
export interface Project extends Terms {
  readonly id: string;
  readonly organizationId: string;
  /** Of what there is not enough of, beside the other projects' weights. */
  readonly weight: number;
  /** Whoever has a lower number is served before all with a higher one. */
  readonly priority: number;
  readonly createdAtMs: number;
  /** Its keys are not valid any more; what it used stays in the ledger. */
  readonly archivedAtMs: number | undefined;
}

export interface ProjectChange extends TermsChange {
  readonly weight?: number | undefined;
  readonly priority?: number | undefined;
}

export type NewProject = ProjectChange & { readonly name: string; readonly organizationId: string };

/** Who makes or ends a project: an organization by itself divides its share anew. */
export type Divides = 'own-share' | undefined;

export class Projects {
  readonly #database: Database;
  readonly #now: () => number;

  /** @param now Milliseconds since 1970. */
  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /** @throws AppError `invalid_value`, also where there is no such organization; with status 409 where it has one of that name */
  async create(given: NewProject, divides?: Divides): Promise<Project> {
    const row = {
      id: newId('proj'),
      ...columnsOf({ ...NO_TERMS, name: given.name, ...DEFAULT_SHARE }, given),
      organization_id: given.organizationId,
      created_at_ms: this.#now(),
      archived_at_ms: null,
    };
    await refusingTakenName(given.name, () =>
      changingKeys(this.#database, async (transaction) => {
        if (!(await unarchived(transaction, 'organization', { id: given.organizationId })))
          throw invalid('organizationId', 'names no organization that there is');
        if (divides !== undefined) Object.assign(row, await takeOwnShare(transaction, given.organizationId));
        await transaction.insertInto('project').values(row).execute();
      }),
    );
    return projectOf(row);
  }

  /** The oldest first. */
  async list({
    organizationId,
    ...page
  }: Page & { readonly organizationId?: string | undefined } = {}): Promise<readonly Project[]> {
    const only = organizationId === undefined ? [] : [sql<boolean>`organization_id = ${organizationId}`];
    return (await pageOf(this.#database.kysely, 'project', page, only)).map(projectOf);
  }

  async get(id: string): Promise<Project | undefined> {
    const row = await this.#database.kysely
      .selectFrom('project')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    return row && projectOf(row);
  }

  /** @returns Undefined: there is none, or it is archived. @throws As `create` does; AppError `permission_denied` */
  async update(id: string, change: ProjectChange, roles?: KeyRoles): Promise<Project | undefined> {
    return refusingTakenName(change.name, () =>
      changingKeys(this.#database, async (transaction) => {
        const row = await openProject(transaction, { id });
        if (row === undefined) return undefined;
        await requireRolesIn(transaction, id, roles, this.#now());
        const columns = columnsOf(projectOf(row), change);
        await transaction.updateTable('project').set(columns).where('id', '=', id).execute();
        return projectOf({ ...row, ...columns });
      }),
    );
  }

  /** With it all its keys end. @returns Whether there was one that was not archived. @throws AppError `permission_denied` */
  archive(id: string, roles?: KeyRoles, divides?: Divides): Promise<boolean> {
    const nowMs = this.#now();
    return archive(this.#database, 'project', id, nowMs, async (transaction) => {
      await requireRolesIn(transaction, id, roles, nowMs);
      if (divides !== undefined) await leaveOwnShare(transaction, id);
    });
  }
}

function columnsOf(before: Terms & Share, change: ProjectChange) {
  const { weight = before.weight, priority = before.priority } = change;
  if (!(weight >= LEAST_WEIGHT && weight <= MOST_WEIGHT))
    throw invalid('weight', `must be a number from ${LEAST_WEIGHT} to ${MOST_WEIGHT}`);
  if (!Number.isInteger(priority) || Math.abs(priority) > 1000)
    throw invalid('priority', 'must be a whole number from -1000 to 1000');
  return { ...termsColumns(changedTerms(before, change)), weight, priority };
}

export function projectOf(row: Selectable<ProjectTable>): Project {
  const { id, organization_id, weight, priority, created_at_ms, archived_at_ms } = row;
  return {
    id,
    organizationId: organization_id,
    ...termsOf(row),
    weight,
    priority,
    createdAtMs: created_at_ms,
    archivedAtMs: archived_at_ms ?? undefined,
  };
}
