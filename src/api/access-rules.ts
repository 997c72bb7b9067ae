import type { Role } from '../core/caller.ts';

/**
 * What a route asks of its caller: nothing (`open`), or at least a role. As long as there are no keys, anybody may
 * use what is not below /admin. Where a role of an organization is enough, the route neither shows nor changes
 * anything of other organizations to a caller who has no more than that role.
 */
export type Access = 'open' | Role;

/** Every route there is, as method and path in the router's words. One that is missing here is served to nobody. */
export const ACCESS_RULES: Readonly<Record<string, Access>> = {
  'GET /healthz': 'open',
  'GET /readyz': 'open',
  'GET /metrics': 'viewer',

  'POST /v1/chat/completions': 'user',
  'POST /v1/completions': 'user',
  'POST /v1/embeddings': 'user',
  'POST /v1/rerank': 'user',
  'POST /v2/rerank': 'user',
  'POST /v1/classify': 'user',
  'GET /v1/models': 'user',
  'GET /v1/models/:name{.+}': 'user',
  'GET /v1/organization/usage/completions': 'user',
  'GET /v1/organization/costs': 'user',

  'GET /admin/openapi.json': 'organization-viewer',
  'GET /admin/usage': 'organization-viewer',
  'GET /admin/organizations': 'organization-viewer',
  'POST /admin/organizations': 'admin',
  'GET /admin/organizations/:id': 'organization-viewer',
  'PATCH /admin/organizations/:id': 'admin',
  'DELETE /admin/organizations/:id': 'admin',
  'GET /admin/projects': 'organization-viewer',
  'POST /admin/projects': 'organization-admin',
  'GET /admin/projects/:id': 'organization-viewer',
  'PATCH /admin/projects/:id': 'organization-admin',
  'DELETE /admin/projects/:id': 'organization-admin',
  'GET /admin/keys': 'organization-viewer',
  'POST /admin/keys': 'organization-admin',
  'GET /admin/keys/:id': 'organization-viewer',
  'PATCH /admin/keys/:id': 'organization-admin',
  'POST /admin/keys/:id/rotate': 'organization-admin',
  'POST /admin/keys/:id/revoke': 'organization-admin',

  'GET /admin/upstreams': 'viewer',
  'GET /admin/upstreams/:name': 'viewer',
  'POST /admin/upstreams/:name/drain': 'admin',
  'POST /admin/upstreams/:name/undrain': 'admin',
  'GET /admin/canaries': 'viewer',
  'POST /admin/canaries/:deployment/resume': 'admin',
  'GET /admin/decisions': 'viewer',
  'GET /admin/decisions/:id': 'viewer',
  'GET /admin/models': 'viewer',
  'GET /admin/models/:name': 'viewer',
  'POST /admin/models/:name/load': 'admin',
  'POST /admin/models/:name/unload': 'admin',
  'DELETE /admin/models/:name': 'admin',
};
