import type { Context } from 'hono';
import { AppError } from '../../core/error.ts';
import type { AppEnv } from '../http/app-env.ts';
import type { ClientReply } from '../http/client-reply.ts';
import { NodeReply } from '../http/node-reply.ts';
import { readNodeBody, readWebBody } from '../http/read-body.ts';
import { WebReply } from '../http/web-reply.ts';
import { errorBody, errorHeaders } from './error-body.ts';

/** What every route with a JSON body does the same way. */

/** @throws AppError `unsupported_media_type`, `body_too_large`, `client_closed` */
export async function readJsonBody(c: Context<AppEnv>, maxBodyBytes: number): Promise<Buffer> {
  const contentType = c.req.header('content-type') ?? '';
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType)) {
    throw new AppError('unsupported_media_type', {
      message: `The content type must be application/json${contentType ? `, not ${contentType.slice(0, 100)}` : ''}.`,
    });
  }
  const encoding = c.req.header('content-encoding') ?? 'identity';
  if (encoding !== 'identity') {
    throw new AppError('unsupported_media_type', {
      message: `The content-encoding ${encoding.slice(0, 50)} is not supported: send the body uncompressed.`,
    });
  }
  return c.env?.incoming
    ? await readNodeBody(c.env.incoming, maxBodyBytes)
    : await readWebBody(c.req.raw, maxBodyBytes);
}

export function clientReply(c: Context<AppEnv>): ClientReply {
  return c.env?.outgoing
    ? new NodeReply(c.env.outgoing, c.get('stallTimeoutMs'))
    : new WebReply(c.req.raw.signal);
}

export function sendError(c: Context<AppEnv>, client: ClientReply, error: AppError): void {
  if (client.signal.aborted) return;
  client.start(error.status, {
    'content-type': 'application/json',
    ...commonHeaders(c),
    ...errorHeaders(error),
  });
  client.end(JSON.stringify(errorBody(error)));
}

/** Begins a successful reply that is not a stream of events. */
export function startWhole(
  c: Context<AppEnv>,
  client: ClientReply,
  {
    contentType,
    contentLength,
  }: { readonly contentType: string; readonly contentLength?: number | undefined },
): void {
  client.start(200, {
    'content-type': contentType,
    ...(contentLength === undefined ? {} : { 'content-length': String(contentLength) }),
    ...commonHeaders(c),
  });
}

export function commonHeaders(c: Context<AppEnv>): Record<string, string> {
  return {
    ...c.get('replyHeaders'),
    'x-request-id': c.get('requestId'),
    'openai-processing-ms': String(Math.round(performance.now() - c.get('receivedAtMs'))),
  };
}
