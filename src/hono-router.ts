import { getRequestListener } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { isAdminPath } from './api/admin/admin-path.ts';
import { type CanaryAdmin, canaryRoutes } from './api/admin/canary-routes.ts';
import { type DecisionAdmin, decisionRoutes } from './api/admin/decision-routes.ts';
import { guard } from './api/admin/guard.ts';
import { keyRoutes } from './api/admin/key-routes.ts';
import { type ModelAdmin, modelAdminRoutes } from './api/admin/model-routes.ts';
import { openApiRoutes } from './api/admin/openapi.ts';
import { organizationRoutes } from './api/admin/organization-routes.ts';
import { projectRoutes } from './api/admin/project-routes.ts';
import type { TenantAdmin } from './api/admin/tenant-admin.ts';
import { type UpstreamAdmin, upstreamAdminRoutes } from './api/admin/upstream-routes.ts';
import { usageRoutes } from './api/admin/usage-routes.ts';
import { warnedBy } from './api/admin/warned.ts';
import type { AppEnv } from './api/http/app-env.ts';
import { allowsOrigin, Call, type CallOptions } from './api/http/call.ts';
import { answer, type CallRoutes, tellRefused } from './api/http/call-routes.ts';
import { headerPairs } from './api/http/header-lines.ts';
import { NodeIncoming } from './api/http/node-incoming.ts';
import { NodeReply } from './api/http/node-reply.ts';
import { errorBody, errorLines } from './api/openai/error-body.ts';
import { organizationUsageRoutes } from './api/openai/organization-routes.ts';
import { modelRoutes, type OpenAiOptions } from './api/openai/routes.ts';
import { type OperationsOptions, operationsRoutes } from './api/operations.ts';
import type { UsageReader } from './api/usage-reader.ts';
import { AppError } from './core/error.ts';
import type { Emit } from './core/event.ts';
import type { Answers } from './front/http-server.ts';

export interface AppOptions extends CallOptions, OpenAiOptions, OperationsOptions {
  readonly decisions?: DecisionAdmin;
  readonly emit: Emit;
  readonly admin: UpstreamAdmin & CanaryAdmin;
  readonly modelAdmin: ModelAdmin;
  readonly tenantAdmin: TenantAdmin;
  readonly usage: UsageReader;
}

/** Of the router, before any route. */
const MIDDLEWARES = 2;

/** Answers whatever there is a route for, and what there is none for. @param routes What can be posted to the API. */
export function routedAnswers(options: AppOptions, routes: CallRoutes): Answers['serve'] {
  const router = createRouter(options, routes);
  const listener = getRequestListener((request, env) => router.fetch(request, env), {
    overrideGlobalObjects: false,
    errorHandler: refuseTarget,
  });
  return (incoming, outgoing) => void listener(incoming, outgoing);
}

/** Of what routes throw the router knows by itself. What comes here is no request at all. */
function refuseTarget(cause: unknown): Response {
  const error = new AppError('invalid_value', { message: 'The target of the request is no path.', cause });
  return Response.json(errorBody(error), { status: error.status });
}

/** Every route there is, with what guards it. */
export function createRouter(options: AppOptions, routes: CallRoutes): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use(async function identify(c, next) {
    const { incoming, outgoing } = c.env;
    const call = new Call(new NodeIncoming(incoming), new NodeReply(outgoing), options);
    c.set('call', call);
    c.header('x-request-id', call.requestId);
    for (const [name, value] of headerPairs(call.corsLines())) c.header(name, value);
    if (call.close) c.header('connection', 'close');
    await next();
  });
  if (options.corsOrigins.length > 0) {
    const preflight = cors({
      origin: (origin) => (allowsOrigin(options.corsOrigins, origin) ? origin : null),
    });
    app.options('*', (c, next) => (isAdminPath(c.req.path) ? next() : preflight(c, next)));
  }
  app.use(guard());

  // Paths with a query string come this way.
  for (const [path, handler] of Object.entries(routes))
    app.post(path, (c) => {
      void answer(c.get('call'), path, handler, options.emit);
      return RESPONSE_ALREADY_SENT;
    });
  modelRoutes(app, options);
  for (const [path, ask] of Object.entries(operationsRoutes(options)))
    app.get(path, async (c) => {
      const { status, contentType, body } = await ask(c.get('call'));
      return c.body(body, status as 200, { 'content-type': contentType });
    });
  upstreamAdminRoutes(app, options.admin);
  canaryRoutes(app, options.admin);
  if (options.decisions) decisionRoutes(app, options.decisions);
  modelAdminRoutes(app, options.modelAdmin);
  const warned = warnedBy((caller) => options.gateway.models(caller));
  organizationRoutes(app, options.tenantAdmin, warned);
  projectRoutes(app, options.tenantAdmin, warned);
  keyRoutes(app, options.tenantAdmin, warned);
  usageRoutes(app, options.usage);
  organizationUsageRoutes(app, options.usage);
  openApiRoutes(app);

  app.notFound((c) => {
    const { method, path } = c.req;
    const routed = (one: string, at: string) => app.router.match(one, at)[0].length > MIDDLEWARES;
    const allowed = ['GET', 'POST', 'PATCH', 'DELETE'].filter((one) => routed(one, path));
    if (allowed.length === 0) {
      // A base URL without /v1 is the first thing that goes wrong with most clients.
      const hint = routed(method, `/v1${path}`) ? ` It is at /v1${path}: the base URL ends in /v1.` : '';
      throw new AppError('route_not_found', {
        message: `There is no route ${method} ${path.slice(0, 200)}.${hint}`,
      });
    }
    c.header('allow', allowed.join(', '));
    throw new AppError('method_not_allowed', {
      message: `${path} accepts ${allowed.join(' and ')}, not ${method}.`,
    });
  });
  app.onError((thrown, c) => {
    const error = AppError.from(thrown);
    tellRefused(c.get('call'), error, options.emit);
    for (const [name, value] of headerPairs(errorLines(error))) c.header(name, value);
    return c.json(errorBody(error), error.status as 500);
  });
  return app;
}
