import type { Hono } from 'hono';
import type { z } from 'zod';
import type { Caller } from '../../core/caller.ts';
import { AppError } from '../../core/error.ts';
import type { AppEnv } from '../http/app-env.ts';
import { checkedBody, checkedQuery } from '../http/checked.ts';
import { printable } from '../openai/invalid-request.ts';

/** A route, as it is served and as it is described. */
export interface Operation<Q extends z.ZodType = z.ZodType, B extends z.ZodType = z.ZodType> {
  /** Method and path, as the table of all routes has them. */
  readonly route: string;
  readonly summary: string;
  readonly query?: Q;
  readonly body?: B;
  /** Replies have these fields and no others. */
  readonly reply: z.ZodType;
  readonly status?: 200 | 201;
}

export interface OperationInput<Q extends z.ZodType, B extends z.ZodType> {
  /** Of the path; empty where it has none. */
  readonly id: string;
  readonly query: z.output<Q>;
  readonly body: z.output<B>;
  /** Undefined: nobody needs a key. */
  readonly caller: Caller | undefined;
}

/** @param handle Undefined: there is none of that id. */
export function serve<Q extends z.ZodType, B extends z.ZodType>(
  app: Hono<AppEnv>,
  { route, query, body, reply, status = 200 }: Operation<Q, B>,
  handle: (input: OperationInput<Q, B>) => Promise<object | undefined>,
): void {
  const [method, path] = route.split(' ') as [string, string];
  app.on(method, path, async (c) => {
    const id = c.req.param('id') ?? '';
    const found = await handle({
      id,
      query: (query && checkedQuery(c, query)) as z.output<Q>,
      caller: c.get('call').caller,
      body: (body && (await checkedBody(c, body))) as z.output<B>,
    });
    if (found === undefined)
      throw new AppError('route_not_found', {
        message: `There is no \`${printable(id, 100)}\`, or it has ended.`,
      });
    c.header('cache-control', 'no-store');
    return c.json(reply.parse(found) as object, status);
  });
}
