import type { Hono } from 'hono';
import { AppError } from '../../core/error.ts';
import type { AppEnv } from '../http/app-env.ts';

export interface DecisionAdmin {
  /** Undefined: never made, or forgotten. */
  find(id: string): object | undefined;
  /** The newest first. */
  latest(count: number): readonly object[];
}

const DEFAULT_COUNT = 20;
const MAX_COUNT = 1_000;

/** Why requests went where they went. Every reply to a request names its decision in `x-qianmen-decision`. */
export function decisionRoutes(app: Hono<AppEnv>, decisions: DecisionAdmin): void {
  app.get('/admin/decisions', (c) => {
    const text = c.req.query('limit') ?? String(DEFAULT_COUNT);
    const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
    if (count < 1 || count > MAX_COUNT)
      throw new AppError('invalid_value', {
        message: `\`limit\` must be a number from 1 to ${MAX_COUNT}.`,
        param: 'limit',
      });
    return c.json({ decisions: decisions.latest(count) });
  });
  app.get('/admin/decisions/:id', (c) => {
    const id = c.req.param('id');
    const decision = decisions.find(id);
    if (decision === undefined)
      throw new AppError('route_not_found', {
        message: `There is no decision \`${id.slice(0, 100)}\`, or it has been forgotten: only the latest are kept.`,
      });
    return c.json(decision);
  });
}
