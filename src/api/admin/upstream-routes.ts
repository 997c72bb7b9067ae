import type { Context, Hono } from 'hono';
import { AppError } from '../../core/error.ts';
import type { AppEnv } from '../http/app-env.ts';
import { mergeReports, type UpstreamReport, type WorkerReport } from './upstream-report.ts';

export interface UpstreamAdmin {
  /** As this process sees them. */
  upstreams(): UpstreamReport;
  /** As every process of the gateway does, where there are several. */
  everywhere?(): Promise<readonly WorkerReport[]>;
  /** @returns Whether there is such an upstream. */
  setDrained(name: string, drained: boolean): boolean;
}

/**
 * Looking at upstreams, and taking them out of service for a while. Names with a slash are sent with %2F.
 *
 *   GET  /admin/upstreams               { upstreams, models, workers? }
 *   GET  /admin/upstreams/NAME          { upstreams }: one, or the members of an entry
 *   POST /admin/upstreams/NAME/drain    the same, afterwards; /undrain takes it back
 *
 * Where several processes serve, `upstreams` and `models` are those of all together, and `workers` has each one's.
 */
export function upstreamAdminRoutes(app: Hono<AppEnv>, admin: UpstreamAdmin): void {
  const look = async () => {
    const workers = await admin.everywhere?.();
    if (workers === undefined || workers.length === 0) return admin.upstreams();
    return { ...mergeReports(workers), workers };
  };
  const view = async (name: string) => {
    const { upstreams } = await look();
    const found = upstreams.filter((upstream) => upstream.name === name || upstream.entry === name);
    if (found.length === 0)
      throw new AppError('route_not_found', { message: `There is no upstream \`${name.slice(0, 200)}\`.` });
    return found;
  };
  const setDrained = async (c: Context<AppEnv, '/admin/upstreams/:name'>, drained: boolean) => {
    const name = c.req.param('name');
    await view(name);
    admin.setDrained(name, drained);
    return c.json({ upstreams: await view(name) });
  };
  app.get('/admin/upstreams', async (c) => c.json(await look()));
  app.get('/admin/upstreams/:name', async (c) => c.json({ upstreams: await view(c.req.param('name')) }));
  app.post('/admin/upstreams/:name/drain', (c) => setDrained(c, true));
  app.post('/admin/upstreams/:name/undrain', (c) => setDrained(c, false));
}
