import type { Hono } from 'hono';
import { z } from 'zod';
import type { Caller } from '../../core/caller.ts';
import type { AppEnv } from '../http/app-env.ts';
import { serve } from './operation.ts';
import { reachOf } from './own-organization.ts';
import { nextOf, nextPage } from './paging.ts';
import type { TenantAdmin } from './tenant-admin.ts';
import { newOrganization, organization, organizationChange, page, withWarnings } from './tenant-schemas.ts';
import type { Warned } from './warned.ts';

const list = {
  route: 'GET /admin/organizations',
  summary: 'Organizations, the oldest first.',
  query: page,
  reply: z.object({ organizations: z.array(organization), next: nextPage }),
};
const create = {
  route: 'POST /admin/organizations',
  summary: 'Makes an organization.',
  body: newOrganization,
  reply: withWarnings(organization),
  status: 201,
} as const;
const get = { route: 'GET /admin/organizations/:id', summary: 'One organization.', reply: organization };
const change = {
  route: 'PATCH /admin/organizations/:id',
  summary: 'Changes what is given; null takes a limit or a demand away.',
  body: organizationChange,
  reply: withWarnings(organization),
};
const archive = {
  route: 'DELETE /admin/organizations/:id',
  summary: 'Ends an organization with all its projects and keys. Its usage is kept.',
  reply: organization,
};

export const organizationOperations = [list, create, get, change, archive];

export function organizationRoutes(app: Hono<AppEnv>, admin: TenantAdmin, warned: Warned): void {
  const organizations = (caller: Caller | undefined) => reachOf(admin, caller).organizations;
  serve(app, list, async ({ query, caller }) => {
    const found = await organizations(caller).list(query);
    return { organizations: found, next: nextOf(found, query) };
  });
  serve(app, create, ({ body, caller }) => warned(organizations(caller).create(body), body, caller));
  serve(app, get, ({ id, caller }) => organizations(caller).get(id));
  serve(app, change, ({ id, body, caller }) => warned(organizations(caller).update(id, body), body, caller));
  serve(app, archive, async ({ id, caller }) => {
    await organizations(caller).archive(id);
    return organizations(caller).get(id);
  });
}
