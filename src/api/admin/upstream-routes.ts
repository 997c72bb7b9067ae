import type { Context, Hono } from 'hono';
import type { BackendHealth } from '../../core/backend.ts';
import { AppError } from '../../core/error.ts';
import type { GatewayReport } from '../../core/report.ts';
import type { AppEnv } from '../http/app-env.ts';

/** What operators see of an upstream. */
export interface UpstreamView {
  readonly name: string;
  /** The entry of the configuration that it comes from. */
  readonly entry: string;
  /** It is in no configuration any more, and finishes what it has begun. */
  readonly leaving: boolean;
  readonly drained: boolean;
  readonly health: BackendHealth;
  /** What it says that it serves; null while it has not said. */
  readonly models: readonly string[] | null;
  /** Models that the configuration wants from it and that it does not list. */
  readonly missingModels: readonly string[];
}

export interface UpstreamAdmin {
  upstreams(): readonly UpstreamView[];
  /** @returns Whether there is such an upstream. */
  setDrained(name: string, drained: boolean): boolean;
}

/** Looking at upstreams, and taking them out of service for a while. Names with a slash are sent with %2F. */
export function upstreamAdminRoutes(
  app: Hono<AppEnv>,
  admin: UpstreamAdmin,
  report: () => GatewayReport,
): void {
  const all = () => {
    const traffic = new Map(report().backends.map((backend) => [backend.name, backend]));
    return admin.upstreams().map((upstream) => {
      const { name, kind, health, ...seen } = traffic.get(upstream.name) ?? {};
      return { ...upstream, traffic: upstream.leaving || name === undefined ? null : seen };
    });
  };
  const view = (name: string) => {
    const found = all().filter((upstream) => upstream.name === name || upstream.entry === name);
    if (found.length === 0)
      throw new AppError('route_not_found', { message: `There is no upstream \`${name.slice(0, 200)}\`.` });
    return found;
  };
  const setDrained = (c: Context<AppEnv, '/admin/upstreams/:name'>, drained: boolean) => {
    const name = c.req.param('name');
    view(name);
    admin.setDrained(name, drained);
    return c.json({ upstreams: view(name) });
  };
  app.get('/admin/upstreams', (c) => c.json({ upstreams: all(), models: report().models }));
  app.get('/admin/upstreams/:name', (c) => c.json({ upstreams: view(c.req.param('name')) }));
  app.post('/admin/upstreams/:name/drain', (c) => setDrained(c, true));
  app.post('/admin/upstreams/:name/undrain', (c) => setDrained(c, false));
}
