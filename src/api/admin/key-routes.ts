import type { Hono } from 'hono';
import { z } from 'zod';
import type { Caller } from '../../core/caller.ts';
import type { AppEnv } from '../http/app-env.ts';
import { serve } from './operation.ts';
import { reachOf } from './own-organization.ts';
import { nextOf, nextPage } from './paging.ts';
import type { TenantAdmin } from './tenant-admin.ts';
import {
  apiKey,
  apiKeyChange,
  apiKeyWithSecret,
  newApiKey,
  page,
  rotation,
  withWarnings,
} from './tenant-schemas.ts';
import type { Warned } from './warned.ts';

const list = {
  route: 'GET /admin/keys',
  summary: 'API keys, the oldest first, also ended ones; all, or those of one project.',
  query: page.extend({ projectId: z.string().optional() }),
  reply: z.object({ keys: z.array(apiKey), next: nextPage }),
};
const create = {
  route: 'POST /admin/keys',
  summary: 'Makes an API key in a project. Its secret is told this once.',
  body: newApiKey,
  reply: withWarnings(apiKeyWithSecret),
  status: 201,
} as const;
const get = { route: 'GET /admin/keys/:id', summary: 'One API key.', reply: apiKey };
const change = {
  route: 'PATCH /admin/keys/:id',
  summary: 'Changes what is given; null takes a limit, a demand, a scope or the end away.',
  body: apiKeyChange,
  reply: withWarnings(apiKey),
};
const rotate = {
  route: 'POST /admin/keys/:id/rotate',
  summary: 'Gives an API key another secret, told this once. The one before is valid for `overlapMs` more.',
  body: rotation,
  reply: apiKeyWithSecret,
};
const revoke = {
  route: 'POST /admin/keys/:id/revoke',
  summary: 'Ends an API key for good, with all its secrets.',
  body: z.strictObject({}),
  reply: apiKey,
};

export const keyOperations = [list, create, get, change, rotate, revoke];

export function keyRoutes(app: Hono<AppEnv>, admin: TenantAdmin, warned: Warned): void {
  const keys = (caller: Caller | undefined) => reachOf(admin, caller).keys;
  serve(app, list, async ({ query, caller }) => {
    const found = await keys(caller).list(query);
    return { keys: found, next: nextOf(found, query) };
  });
  serve(app, create, ({ body, caller }) => warned(keys(caller).create(body), body, caller));
  serve(app, get, ({ id, caller }) => keys(caller).get(id));
  serve(app, change, ({ id, body, caller }) => warned(keys(caller).update(id, body), body, caller));
  serve(app, rotate, ({ id, body, caller }) => keys(caller).rotate(id, body));
  serve(app, revoke, async ({ id, caller }) => {
    await keys(caller).revoke(id);
    return keys(caller).get(id);
  });
}
