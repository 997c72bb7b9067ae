import type { Hono } from 'hono';
import { z } from 'zod';
import { AppError } from '../../core/error.ts';
import type { AppEnv } from '../http/app-env.ts';
import { checkedQuery } from '../http/checked.ts';
import { queryNumber } from '../http/query-number.ts';

export interface DecisionAdmin {
  /** Undefined: never made, or forgotten. */
  find(id: string): object | undefined;
  /** The newest first. */
  latest(count: number): readonly object[];
}

export const decisionsQuery = z.strictObject({ limit: queryNumber(z.int().min(1).max(1_000)).default(20) });

/** Why requests went where they went. Every reply to a request names its decision in `x-qianmen-decision`. */
export function decisionRoutes(app: Hono<AppEnv>, decisions: DecisionAdmin): void {
  app.get('/admin/decisions', (c) => {
    const { limit } = checkedQuery(c, decisionsQuery);
    return c.json({ decisions: decisions.latest(limit) });
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
