import type { IncomingMessage, ServerResponse } from 'node:http';
import { ACCESS_RULES, type Access } from './api/access-rules.ts';
import { encoderRoutes } from './api/encoder-routes.ts';
import { Call } from './api/http/call.ts';
import { answer, type CallRoutes, tellRefused } from './api/http/call-routes.ts';
import type { ClientReply } from './api/http/client-reply.ts';
import type { Incoming } from './api/http/incoming.ts';
import { NodeIncoming } from './api/http/node-incoming.ts';
import { NodeReply } from './api/http/node-reply.ts';
import { generationRoutes } from './api/openai/routes.ts';
import { operationsRoutes } from './api/operations.ts';
import { AppError } from './core/error.ts';
import type { Answers } from './front/http-server.ts';
import type { AppOptions } from './hono-router.ts';

/**
 * The whole HTTP surface. POST routes of the API, and what those that watch ask for every few seconds, are answered directly, everything
 * else by way of the router.
 */
export function createApp(options: AppOptions): Answers {
  const routes: CallRoutes = { ...generationRoutes(options), ...encoderRoutes(options) };
  const posted = new Map(Object.entries(routes));
  const watched = new Map(Object.entries(operationsRoutes(options)).filter(([path]) => accessTo(path)));
  const routed = routerOnDemand(options, routes);
  const post = (path: string, incoming: Incoming, client: ClientReply) =>
    void answer(new Call(incoming, client, options), path, posted.get(path)!, options.emit);
  const watch = (path: string, incoming: Incoming, client: ClientReply) => {
    const tell = async (call: Call) => {
      const { status, contentType, body } = await watched.get(path)!(call);
      call.sendWhole(contentType, body, status);
    };
    void answer(new Call(incoming, client, options), path, tell, options.emit, accessTo(path));
  };
  return {
    takes: (path) => posted.has(path),
    answer: post,
    serve(incoming, outgoing) {
      const { method, url = '' } = incoming;
      if (method === 'POST' && posted.has(url))
        post(url, new NodeIncoming(incoming), new NodeReply(outgoing));
      else if (method === 'GET' && watched.has(url))
        watch(url, new NodeIncoming(incoming), new NodeReply(outgoing));
      else void routed(incoming, outgoing);
    },
  };
}

/** One that is not in the table is served to nobody: the router says so. */
function accessTo(path: string): Access | undefined {
  return ACCESS_RULES[`GET ${path}`];
}

/**
 * The router is in memory from the first request on that needs it: with what it brings along, Node's web requests and HTTP/2 among it, it takes
 * some 3 MiB.
 */
function routerOnDemand(options: AppOptions, routes: CallRoutes) {
  let router: Promise<Answers['serve']> | undefined;
  return async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    router ??= import('./hono-router.ts').then(({ routedAnswers }) => routedAnswers(options, routes));
    try {
      (await router)(incoming, outgoing);
    } catch (thrown) {
      router = undefined;
      const call = new Call(new NodeIncoming(incoming), new NodeReply(outgoing), options);
      const error = AppError.from(thrown);
      tellRefused(call, error, options.emit);
      call.sendError(error);
    }
  };
}
