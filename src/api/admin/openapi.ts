import type { Hono } from 'hono';
import { z } from 'zod';
import { ACCESS_RULES } from '../access-rules.ts';
import type { AppEnv } from '../http/app-env.ts';
import { decisionsQuery } from './decision-routes.ts';
import { keyOperations } from './key-routes.ts';
import type { Operation } from './operation.ts';
import { organizationOperations } from './organization-routes.ts';
import { projectOperations } from './project-routes.ts';
import { usageOperations } from './usage-routes.ts';

const anyObject = z.looseObject({});

/** Routes whose replies are described where they are made. */
const OTHERS: readonly Operation[] = [
  ['GET /admin/openapi.json', 'This description.'],
  ['GET /admin/upstreams', 'Upstreams: health, traffic, latencies, limits; and models.'],
  ['GET /admin/upstreams/:name', 'One upstream, or the members of a group.'],
  ['POST /admin/upstreams/:name/drain', 'Sends nothing new to an upstream.'],
  ['POST /admin/upstreams/:name/undrain', 'Sends to it again.'],
  ['GET /admin/canaries', 'Deployments on trial.'],
  ['POST /admin/canaries/:deployment/resume', 'Puts a deployment on trial again that was rolled back.'],
  ['GET /admin/decisions', 'Why the latest requests went where they went; the newest first.'],
  ['GET /admin/decisions/:id', 'One decision.'],
  ['GET /admin/models', 'Local models, and the memory that they take.'],
  ['GET /admin/models/:name', 'One local model.'],
  ['POST /admin/models/:name/load', 'Brings a local model into memory; with settings, a new one.'],
  ['POST /admin/models/:name/unload', 'Takes a local model out of memory.'],
  ['DELETE /admin/models/:name', 'Takes away a local model that an operator has added.'],
].map(([route, summary]) => ({
  route: route!,
  summary: summary!,
  reply: anyObject,
  // What changes something comes as JSON, be it an empty object: no page in a browser may have it done.
  ...(route!.startsWith('POST') ? { body: anyObject } : {}),
  ...(route === 'GET /admin/decisions' ? { query: decisionsQuery } : {}),
}));

const OPERATIONS: readonly Operation[] = [
  ...organizationOperations,
  ...projectOperations,
  ...keyOperations,
  ...usageOperations,
  ...OTHERS,
];

const errorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

/** OpenAPI 3.1 of everything below /admin, made of what requests and replies are checked by. */
export function openApiDocument(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of OPERATIONS) {
    const [method, path] = operation.route.split(' ') as [string, string];
    const template = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[template] ??= {};
    paths[template][method.toLowerCase()] = described(operation, path);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Qianmen administration',
      version: '1',
      description:
        'Needs an API key with the role that `x-qianmen-role` names, or one that may more: organization-viewer and organization-admin see and change their own organization, viewer and admin everything. While there are no keys it answers the machine itself only.',
    },
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: jsonSchema(errorBody, 'output') },
    },
  };
}

function described({ route, summary, query, body, reply, status = 200 }: Operation, path: string): object {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
  }));
  const parameters = [...inPath, ...(query === undefined ? [] : queryParameters(query))];
  return {
    operationId: route.replaceAll(/[^a-z]+/gi, '_'),
    summary,
    'x-qianmen-role': ACCESS_RULES[route],
    ...(parameters.length === 0 ? {} : { parameters }),
    // Without a content type that is JSON nothing is changed, so that some body has to come, be it an empty object.
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: json(jsonSchema(body, 'input')) } }),
    responses: {
      [status]: { description: 'Done.', content: json(jsonSchema(reply, 'output')) },
      default: { description: 'An error.', content: json({ $ref: '#/components/schemas/Error' }) },
    },
  };
}

function queryParameters(query: z.ZodType): object[] {
  // What strings are turned into says more than that they are strings.
  const { properties = {} } = jsonSchema(query, 'output') as { properties?: Record<string, object> };
  return Object.entries(properties).map(([name, schema]) => ({
    ...{ name, in: 'query', required: false, schema },
  }));
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}

function json(schema: object): object {
  return { 'application/json': { schema } };
}

export function openApiRoutes(app: Hono<AppEnv>): void {
  let document: object | undefined;
  app.get('/admin/openapi.json', (c) => {
    document ??= openApiDocument();
    return c.json(document);
  });
}
