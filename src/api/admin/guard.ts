import { isIPv4 } from 'node:net';
import type { Context, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { AppError } from '../../core/error.ts';
import { ACCESS_RULES } from '../access-rules.ts';
import type { AppEnv } from '../http/app-env.ts';
import { requireEndpoint, requireRole } from '../http/door.ts';
import { isAdminPath } from './admin-path.ts';
import { Turns } from './turns.ts';

/**
 * Lets a request pass if its caller may use its route, by the table of all routes. A route that is in no table is
 * passed to nobody; nor does anybody without a key learn that a route does not exist.
 */
export function guard(): MiddlewareHandler<AppEnv> {
  const turns = new Turns();
  return async function guardRoute(c, next) {
    const call = c.get('call');
    const route = routeOf(c);
    const access = route === undefined ? 'user' : ACCESS_RULES[route];
    if (access === undefined) throw new AppError('permission_denied');
    if (access !== 'open') {
      await call.identify();
      if (call.caller !== undefined) {
        requireRole(call.caller, access);
        if (route !== undefined && !isModelList(route))
          requireEndpoint(call.caller, c.req.path, pathOf(route));
      } else if (isAdminPath(c.req.path)) requireOperator(c);
    }
    if (isAdminPath(c.req.path)) requireJson(c);
    requireText(c);
    if (isAdminPath(c.req.path) || isUsage(c.req.path))
      await turns.take(call.caller?.organizationId ?? '', next);
    else await next();
  };
}

/** The route that will answer, as the table names it. Undefined: none will. */
function routeOf(c: Context<AppEnv>): string | undefined {
  const method = c.req.method === 'HEAD' ? 'GET' : c.req.method;
  const own = matchedRoutes(c).find((route) => route.method === method);
  return own && `${method} ${own.path}`;
}

function pathOf(route: string): string {
  return route.slice(route.indexOf(' ') + 1);
}

/** Clients of any endpoint ask for it. */
function isModelList(route: string): boolean {
  return route.startsWith('GET /v1/models');
}

function isUsage(path: string): boolean {
  return path.startsWith('/v1/organization/');
}

/** As long as nobody has a key, operators are those who sit at the machine. */
function requireOperator(c: Context<AppEnv>): void {
  if (isLocal(c) && c.req.header('origin') === undefined) return;
  throw new AppError('permission_denied', {
    message: 'While no API keys are configured, /admin answers requests from the machine itself only.',
  });
}

/** Of an address: no name and no id has a NUL, which PostgreSQL does not even look for. */
function requireText(c: Context<AppEnv>): void {
  if (c.req.url.includes('%00'))
    throw new AppError('invalid_value', { message: 'The address of the request holds a NUL character.' });
}

/** A page in a browser may not send JSON elsewhere without asking. */
function requireJson(c: Context<AppEnv>): void {
  if (c.req.method !== 'POST' && c.req.method !== 'PATCH') return;
  if (!/^application\/json\b/i.test(c.req.header('content-type') ?? ''))
    throw new AppError('unsupported_media_type');
}

/**
 * From the machine itself. A page that had its name resolved to it does not pass, since it cannot help telling its own name in `Host`; nor
 * does a proxy on it that says for whom it asks. One that hides that is taken for the operator, who should make a key.
 */
function isLocal(c: Context<AppEnv>): boolean {
  const peer = c.env.incoming.socket.remoteAddress;
  const forwarded = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'].some((name) => c.req.header(name));
  return peer !== undefined && isLoopback(peer) && !forwarded && isLoopback(hostName(c.req.header('host')));
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
}

function isLoopback(name: string): boolean {
  const address = name.toLowerCase().replace(/^::ffff:/, '');
  return address === 'localhost' || address === '::1' || (isIPv4(address) && address.startsWith('127.'));
}
