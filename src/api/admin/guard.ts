import { isIPv4 } from 'node:net';
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../../core/error.ts';
import type { AppEnv } from '../http/app-env.ts';

/**
 * As long as nobody has a key, operators are those who sit at the machine. A proxy on it, a page in its browser, and a page
 * that had its name resolved to it do not pass: the first forwards, the second may not send JSON elsewhere without asking, and
 * the third cannot help telling its own name in `Host`.
 */
export function adminGuard(): MiddlewareHandler<AppEnv> {
  return async function guardAdmin(c, next) {
    const peer = c.env.incoming.socket.remoteAddress;
    const forwarded = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'].some((name) => c.req.header(name));
    const local =
      peer !== undefined && isLoopback(peer) && !forwarded && isLoopback(hostName(c.req.header('host')));
    if (!local || c.req.header('origin') !== undefined)
      throw new AppError('permission_denied', {
        message: 'While no API keys are configured, /admin answers requests from the machine itself only.',
      });
    if (c.req.method === 'POST' && !/^application\/json\b/i.test(c.req.header('content-type') ?? ''))
      throw new AppError('unsupported_media_type');
    await next();
  };
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
}

function isLoopback(name: string): boolean {
  const address = name.toLowerCase().replace(/^::ffff:/, '');
  return address === 'localhost' || address === '::1' || (isIPv4(address) && address.startsWith('127.'));
}
