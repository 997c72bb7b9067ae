import type { Context, Hono } from 'hono';
import { AppError } from '../../core/error.ts';
import type { GenerateRequest, WireRequest } from '../../core/request.ts';
import type { Gateway, Reply, RequestTerms } from '../../gateway/gateway.ts';
import type { AppEnv } from '../http/app-env.ts';
import type { ClientReply } from '../http/client-reply.ts';
import { EventStream } from '../http/event-stream.ts';
import { parseJson } from '../http/read-body.ts';
import { requestTerms } from '../http/request-terms.ts';
import { routeHeader } from '../http/route-header.ts';
import { parseChatRequest } from './chat-request.ts';
import { collectChat } from './chat-response.ts';
import { chatStream } from './chat-stream.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { collectCompletion } from './completion-response.ts';
import { completionStream } from './completion-stream.ts';
import { errorEvent } from './error-body.ts';
import { clientReply, commonHeaders, readJsonBody, sendError, startWhole } from './exchange.ts';
import type { RequestLimits } from './limits.ts';
import { modelList, modelObject } from './model-list.ts';

export interface OpenAiOptions {
  readonly gateway: Gateway;
  readonly maxBodyBytes: number;
  readonly heartbeatMs: number;
  readonly limits: Partial<RequestLimits>;
}

const ENDPOINTS = {
  chat: { parse: parseChatRequest, stream: chatStream, collect: collectChat },
  completion: { parse: parseCompletionRequest, stream: completionStream, collect: collectCompletion },
} as const;

type Endpoint = (typeof ENDPOINTS)[keyof typeof ENDPOINTS];

/** Mounts OpenAI's routes below /v1. */
export function openAiRoutes(app: Hono<AppEnv>, options: OpenAiOptions): void {
  app.post('/v1/chat/completions', (c) => generate(c, ENDPOINTS.chat, '/chat/completions', options));
  app.post('/v1/completions', (c) => generate(c, ENDPOINTS.completion, '/completions', options));
  app.get('/v1/models', (c) => c.json(modelList(options.gateway.models())));
  // A model name may contain slashes, sent raw or as %2F.
  app.get('/v1/models/:name{.+}', (c) => c.json(modelObject(options.gateway.model(c.req.param('name')))));
}

async function generate(
  c: Context<AppEnv>,
  endpoint: Endpoint,
  path: string,
  options: OpenAiOptions,
): Promise<Response> {
  const request = await readRequest(c, endpoint, path, options);
  const terms = requestTerms(c);
  const client = clientReply(c);
  const finished = request.stream
    ? streamReply(c, client, request, endpoint, options, terms)
    : wholeReply(c, client, request, endpoint, options, terms);
  // The work goes on behind the response; both ways of replying handle every failure themselves.
  void finished;
  return client.response;
}

async function readRequest(
  c: Context<AppEnv>,
  endpoint: Endpoint,
  path: string,
  { maxBodyBytes, limits }: OpenAiOptions,
): Promise<GenerateRequest> {
  const body = await readJsonBody(c, maxBodyBytes);
  const wire: WireRequest = { dialect: 'openai', path, body };
  return endpoint.parse(parseJson(body), wire, c.get('requestId'), limits);
}

async function streamReply(
  c: Context<AppEnv>,
  client: ClientReply,
  request: GenerateRequest,
  endpoint: Endpoint,
  { gateway, heartbeatMs }: OpenAiOptions,
  terms: RequestTerms,
): Promise<void> {
  const headers = commonHeaders(c);
  const stream = new EventStream(client, { headers, heartbeatMs });
  try {
    await gateway.handle(
      request,
      client.signal,
      async (reply, decision) => {
        // A heartbeat may have sent the head already.
        if (decision && c.get('routeHeader')) Object.assign(headers, routeHeader(decision));
        if (reply.kind === 'relay') {
          await reply.relay.pump(stream);
          stream.end();
          return;
        }
        const encoder = endpoint.stream(replyHead(request));
        for await (const part of reply.parts) {
          if (!stream.write(encoder.push(part))) await stream.drained();
        }
        stream.end(encoder.end());
      },
      terms,
    );
  } catch (error) {
    const failure = AppError.from(error);
    if (client.started) {
      stream.fail(errorEvent(failure));
    } else {
      stream.abandon();
      sendError(c, client, failure);
    }
  }
}

async function wholeReply(
  c: Context<AppEnv>,
  client: ClientReply,
  request: GenerateRequest,
  endpoint: Endpoint,
  { gateway }: OpenAiOptions,
  terms: RequestTerms,
): Promise<void> {
  try {
    await gateway.handle(
      request,
      client.signal,
      async (reply: Reply, decision) => {
        if (decision && c.get('routeHeader'))
          c.set('replyHeaders', { ...c.get('replyHeaders'), ...routeHeader(decision) });
        if (reply.kind === 'relay') {
          startWhole(c, client, reply.relay);
          await reply.relay.pump(client);
          client.end();
          return;
        }
        const body = JSON.stringify(await endpoint.collect(reply.parts, replyHead(request)));
        startWhole(c, client, { contentType: 'application/json', contentLength: Buffer.byteLength(body) });
        client.end(body);
      },
      terms,
    );
  } catch (error) {
    if (client.started) client.destroy();
    else sendError(c, client, AppError.from(error));
  }
}

function replyHead(request: GenerateRequest) {
  return {
    id: `${request.endpoint === 'chat' ? 'chatcmpl' : 'cmpl'}-${request.id.replace(/^req_/, '')}`,
    created: Math.floor(Date.now() / 1000),
    model: request.model,
    includeUsage: request.includeUsage,
    choices: request.prompts.length * request.n,
    logprobs: request.topLogprobs !== undefined,
  };
}
