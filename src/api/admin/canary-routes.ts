import type { Hono } from 'hono';
import { AppError } from '../../core/error.ts';
import type { CanaryReport } from '../../core/report.ts';
import type { AppEnv } from '../http/app-env.ts';

export interface CanaryAdmin {
  /** As this process sees them. */
  canaries(): readonly CanaryReport[];
  /** @returns Whether there is such a canary. */
  resumeCanary(deployment: string): boolean;
}

/**
 * Deployments on trial, and putting one on trial again that was rolled back. Slashes in names are sent as %2F.
 *
 *   GET  /admin/canaries                      { canaries }
 *   POST /admin/canaries/DEPLOYMENT/resume    the same of this one; what was seen of it before is forgotten
 */
export function canaryRoutes(app: Hono<AppEnv>, admin: CanaryAdmin): void {
  app.get('/admin/canaries', (c) => c.json({ canaries: admin.canaries() }));
  app.post('/admin/canaries/:deployment/resume', (c) => {
    const id = c.req.param('deployment');
    if (!admin.resumeCanary(id))
      throw new AppError('route_not_found', {
        message: `No deployment \`${id.slice(0, 200)}\` is on trial.`,
      });
    return c.json({ canaries: admin.canaries().filter(({ deployment }) => deployment === id) });
  });
}
