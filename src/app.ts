import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { type DecisionAdmin, decisionRoutes } from './api/admin/decision-routes.ts';
import { adminGuard, isAdminPath } from './api/admin/guard.ts';
import { type ModelAdmin, modelAdminRoutes } from './api/admin/model-routes.ts';
import { type UpstreamAdmin, upstreamAdminRoutes } from './api/admin/upstream-routes.ts';
import { encoderRoutes } from './api/encoder-routes.ts';
import type { AppEnv } from './api/http/app-env.ts';
import { requestId } from './api/http/request-id.ts';
import { errorBody, errorHeaders } from './api/openai/error-body.ts';
import { type OpenAiOptions, openAiRoutes } from './api/openai/routes.ts';
import { type OperationsOptions, operationsRoutes } from './api/operations.ts';
import { AppError } from './core/error.ts';
import type { Emit } from './core/event.ts';

export interface AppOptions extends OpenAiOptions, OperationsOptions {
  readonly corsOrigins: readonly string[];
  /** A client that takes nothing of what is ready for it for so long is cut off. */
  readonly stallTimeoutMs: number;
  /** Where this gateway stands, if the configuration says. */
  readonly region?: string | undefined;
  /** Replies tell which deployment made them. */
  readonly routeHeader?: boolean;
  readonly decisions?: DecisionAdmin;
  /** While true, every reply asks its client to close the connection. */
  readonly draining: () => boolean;
  readonly emit: Emit;
  readonly admin: UpstreamAdmin;
  readonly modelAdmin: ModelAdmin;
}

/** The whole HTTP surface. Needs no socket: every route also answers `app.request()`. */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use(async function identify(c, next) {
    const id = requestId(c.req.header('x-request-id'));
    const replyHeaders: Record<string, string> = {};
    if (options.draining()) replyHeaders.connection = 'close';
    const origin = c.req.header('origin');
    if (origin !== undefined && !isAdminPath(c.req.path) && allows(options.corsOrigins, origin)) {
      replyHeaders['access-control-allow-origin'] = origin;
      replyHeaders['access-control-expose-headers'] = 'x-request-id, retry-after';
      replyHeaders.vary = 'Origin';
    }
    c.set('requestId', id);
    c.set('receivedAtMs', performance.now());
    c.set('stallTimeoutMs', options.stallTimeoutMs);
    c.set('region', options.region);
    c.set('routeHeader', options.routeHeader ?? false);
    c.set('replyHeaders', replyHeaders);
    c.header('x-request-id', id);
    for (const [name, value] of Object.entries(replyHeaders)) c.header(name, value);
    await next();
  });
  if (options.corsOrigins.length > 0) {
    const preflight = cors({ origin: (origin) => (allows(options.corsOrigins, origin) ? origin : null) });
    app.options('*', (c, next) => (isAdminPath(c.req.path) ? next() : preflight(c, next)));
  }
  app.use('/admin/*', adminGuard());

  openAiRoutes(app, options);
  encoderRoutes(app, options);
  operationsRoutes(app, options);
  upstreamAdminRoutes(app, options.admin, () => options.gateway.report());
  if (options.decisions) decisionRoutes(app, options.decisions);
  modelAdminRoutes(app, options.modelAdmin);

  app.notFound((c) => {
    const middlewares = isAdminPath(c.req.path) ? 2 : 1;
    const routed = (method: string) => app.router.match(method, c.req.path)[0].length > middlewares;
    const allowed = ['GET', 'POST', 'DELETE'].filter(routed);
    if (allowed.length === 0) {
      throw new AppError('route_not_found', {
        message: `There is no route ${c.req.method} ${c.req.path.slice(0, 200)}.`,
      });
    }
    c.header('allow', allowed.join(', '));
    throw new AppError('method_not_allowed', {
      message: `${c.req.path} accepts ${allowed.join(' and ')}, not ${c.req.method}.`,
    });
  });
  app.onError((thrown, c) => {
    const error = AppError.from(thrown);
    const { status, code, param, cause } = error;
    options.emit({ type: 'request-refused', requestId: c.get('requestId'), status, code, param, cause });
    for (const [name, value] of Object.entries(errorHeaders(error))) c.header(name, value);
    return c.json(errorBody(error), error.status as 500);
  });
  return app;
}

function allows(origins: readonly string[], origin: string): boolean {
  return origins.includes('*') || origins.includes(origin);
}
