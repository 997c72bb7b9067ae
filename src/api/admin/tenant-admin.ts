import type { z } from 'zod';
import type { Role } from '../../core/caller.ts';
import type * as wire from './tenant-schemas.ts';

export interface Page {
  readonly limit: number;
  /** Id of the last one of the page before. */
  readonly after?: string | undefined;
}

/** As `tenant-schemas.ts` describes it: replies are held to that. */
interface Kept {
  readonly id: string;
}

interface KeptProject extends Kept {
  readonly organizationId: string;
}

interface KeptKey extends Kept {
  readonly projectId: string;
  readonly role: Role;
  readonly revokedAtMs?: number | undefined;
}

/**
 * Keeps organizations, projects and keys. Lists begin with the oldest. Undefined and false: there is none of that id, or it has ended.
 * What is thrown is an AppError: `invalid_value`; with status 409 where a name is taken; `permission_denied` where a key that is made or changed,
 * or one that is good in a project, has none of the `roles` that are given, or would have; `keys_unavailable`.
 */
export interface TenantAdmin {
  readonly organizations: {
    create(given: z.output<typeof wire.newOrganization>): Promise<Kept>;
    list(within: Page): Promise<readonly Kept[]>;
    get(id: string): Promise<Kept | undefined>;
    update(id: string, change: z.output<typeof wire.organizationChange>): Promise<Kept | undefined>;
    archive(id: string): Promise<boolean>;
  };
  readonly projects: {
    /** @param divides By an organization itself: its projects together keep the weight that they have. */
    create(given: z.output<typeof wire.newProject>, divides?: 'own-share'): Promise<KeptProject>;
    list(within: Page & { readonly organizationId?: string | undefined }): Promise<readonly KeptProject[]>;
    get(id: string): Promise<KeptProject | undefined>;
    update(
      id: string,
      change: z.output<typeof wire.projectChange>,
      roles?: readonly Role[],
    ): Promise<KeptProject | undefined>;
    archive(id: string, roles?: readonly Role[], divides?: 'own-share'): Promise<boolean>;
  };
  readonly keys: {
    create(given: z.output<typeof wire.newApiKey>, roles?: readonly Role[]): Promise<KeptKey & WithSecret>;
    list(
      within: Page & {
        readonly projectId?: string | undefined;
        readonly organizationId?: string | undefined;
      },
    ): Promise<readonly KeptKey[]>;
    get(id: string): Promise<KeptKey | undefined>;
    update(
      id: string,
      change: z.output<typeof wire.apiKeyChange>,
      roles?: readonly Role[],
    ): Promise<KeptKey | undefined>;
    rotate(
      id: string,
      rotation: z.output<typeof wire.rotation>,
      roles?: readonly Role[],
    ): Promise<(KeptKey & WithSecret) | undefined>;
    revoke(id: string, roles?: readonly Role[]): Promise<boolean>;
  };
}

interface WithSecret {
  readonly secret: string;
}
