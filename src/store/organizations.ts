import type { Selectable } from 'kysely';
import { archive, unarchived } from './archive.ts';
import type { Database } from './database.ts';
import { newId } from './id.ts';
import { refusingTakenName } from './name-taken.ts';
import { type Page, pageOf } from './page.ts';
import { changingKeys } from './revision.ts';
import type { OrganizationTable } from './schema.ts';
import { changedTerms, NO_TERMS, type Terms, type TermsChange, termsColumns, termsOf } from './terms.ts';

/** Whom projects belong to. */
export interface Organization extends Terms {
  readonly id: string;
  readonly createdAtMs: number;
  /** Its keys are not valid any more; what it used stays in the ledger. */
  readonly archivedAtMs: number | undefined;
}

export type NewOrganization = TermsChange & { readonly name: string };

export class Organizations {
  readonly #database: Database;
  readonly #now: () => number;

  /** @param now Milliseconds since 1970. */
  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /** @throws AppError `invalid_value`; with status 409 where the name is taken */
  async create(given: NewOrganization): Promise<Organization> {
    const terms = changedTerms({ ...NO_TERMS, name: given.name }, given);
    const row = {
      id: newId('org'),
      ...termsColumns(terms),
      created_at_ms: this.#now(),
      archived_at_ms: null,
    };
    await refusingTakenName(given.name, () =>
      changingKeys(this.#database, (transaction) =>
        transaction.insertInto('organization').values(row).execute(),
      ),
    );
    return organizationOf(row);
  }

  /** The oldest first. */
  async list(page: Page = {}): Promise<readonly Organization[]> {
    return (await pageOf(this.#database.kysely, 'organization', page)).map(organizationOf);
  }

  async get(id: string): Promise<Organization | undefined> {
    const row = await this.#database.kysely
      .selectFrom('organization')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    return row && organizationOf(row);
  }

  /** @returns Undefined: there is none, or it is archived. @throws As `create` does */
  async update(id: string, change: TermsChange): Promise<Organization | undefined> {
    return refusingTakenName(change.name, () =>
      changingKeys(this.#database, async (transaction) => {
        const row = await unarchived(transaction, 'organization', { id });
        if (row === undefined) return undefined;
        const columns = termsColumns(changedTerms(termsOf(row), change));
        await transaction.updateTable('organization').set(columns).where('id', '=', id).execute();
        return organizationOf({ ...row, ...columns });
      }),
    );
  }

  /** With it all its projects and keys end. @returns Whether there was one that was not archived */
  archive(id: string): Promise<boolean> {
    return archive(this.#database, 'organization', id, this.#now());
  }
}

export function organizationOf(row: Selectable<OrganizationTable>): Organization {
  const { id, created_at_ms: createdAtMs, archived_at_ms } = row;
  return { id, ...termsOf(row), createdAtMs, archivedAtMs: archived_at_ms ?? undefined };
}
