import type { Hono } from 'hono';
import { z } from 'zod';
import type { Caller } from '../../core/caller.ts';
import type { AppEnv } from '../http/app-env.ts';
import { serve } from './operation.ts';
import { reachOf } from './own-organization.ts';
import { nextOf, nextPage } from './paging.ts';
import type { TenantAdmin } from './tenant-admin.ts';
import { newProject, page, project, projectChange, withWarnings } from './tenant-schemas.ts';
import type { Warned } from './warned.ts';

const list = {
  route: 'GET /admin/projects',
  summary: 'Projects, the oldest first; all, or those of one organization.',
  query: page.extend({ organizationId: z.string().optional() }),
  reply: z.object({ projects: z.array(project), next: nextPage }),
};
const create = {
  route: 'POST /admin/projects',
  summary: 'Makes a project in an organization.',
  body: newProject,
  reply: withWarnings(project),
  status: 201,
} as const;
const get = { route: 'GET /admin/projects/:id', summary: 'One project.', reply: project };
const change = {
  route: 'PATCH /admin/projects/:id',
  summary: 'Changes what is given; null takes a limit or a demand away.',
  body: projectChange,
  reply: withWarnings(project),
};
const archive = {
  route: 'DELETE /admin/projects/:id',
  summary: 'Ends a project with all its keys. Its usage is kept.',
  reply: project,
};

export const projectOperations = [list, create, get, change, archive];

export function projectRoutes(app: Hono<AppEnv>, admin: TenantAdmin, warned: Warned): void {
  const projects = (caller: Caller | undefined) => reachOf(admin, caller).projects;
  serve(app, list, async ({ query, caller }) => {
    const found = await projects(caller).list(query);
    return { projects: found, next: nextOf(found, query) };
  });
  serve(app, create, ({ body, caller }) => warned(projects(caller).create(body), body, caller));
  serve(app, get, ({ id, caller }) => projects(caller).get(id));
  serve(app, change, ({ id, body, caller }) => warned(projects(caller).update(id, body), body, caller));
  serve(app, archive, async ({ id, caller }) => {
    await projects(caller).archive(id);
    return projects(caller).get(id);
  });
}
