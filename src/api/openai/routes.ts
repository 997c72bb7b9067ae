import type { Hono } from 'hono';
import type { Decision } from '../../core/decision.ts';
import { AppError } from '../../core/error.ts';
import type { Part } from '../../core/part.ts';
import { pumpParts } from '../../core/part-source.ts';
import { choiceCount, type GenerateRequest, type WireRequest } from '../../core/request.ts';
import type { Gateway, Reply } from '../../gateway/gateway.ts';
import type { RequestTerms } from '../../gateway/request-context.ts';
import type { AppEnv } from '../http/app-env.ts';
import type { Call } from '../http/call.ts';
import type { CallRoutes } from '../http/call-routes.ts';
import { EventStream } from '../http/event-stream.ts';
import { requestTerms } from '../http/request-terms.ts';
import { parseChatRequest } from './chat-request.ts';
import { collectChat } from './chat-response.ts';
import { chatStream } from './chat-stream.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { collectCompletion } from './completion-response.ts';
import { completionStream } from './completion-stream.ts';
import type { RequestLimits } from './limits.ts';
import { modelList, modelObject } from './model-list.ts';
import { parseFields } from './parse-fields.ts';

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

/** OpenAI's routes below /v1 that generate. */
export function generationRoutes(options: OpenAiOptions): CallRoutes {
  return {
    '/v1/chat/completions': (call) => generate(call, ENDPOINTS.chat, '/chat/completions', options),
    '/v1/completions': (call) => generate(call, ENDPOINTS.completion, '/completions', options),
  };
}

/** Mounts those that tell of models. */
export function modelRoutes(app: Hono<AppEnv>, { gateway }: OpenAiOptions): void {
  app.get('/v1/models', (c) => c.json(modelList(gateway.models(c.get('call').caller))));
  // A model name may contain slashes, sent raw or as %2F.
  app.get('/v1/models/:name{.+}', (c) =>
    c.json(modelObject(gateway.model(c.req.param('name'), c.get('call').caller))),
  );
}

function generate(call: Call, endpoint: Endpoint, path: string, options: OpenAiOptions): Promise<void> {
  const read = call.readJson(options.maxBodyBytes);
  const start = (body: Buffer) => generateFrom({ dialect: 'openai', path, body }, call, endpoint, options);
  return read instanceof Promise ? read.then(start) : start(read);
}

function generateFrom(
  wire: WireRequest,
  call: Call,
  endpoint: Endpoint,
  options: OpenAiOptions,
): Promise<void> {
  const { fields, unread } = parseFields(wire.body, (model) => options.gateway.readsPrompts(model));
  const parsed = endpoint.parse(fields, wire, call.requestId, options.limits);
  const request = unread ? { ...parsed, unread } : parsed;
  const terms = requestTerms(call);
  const reply = request.stream ? streamReply : wholeReply;
  return reply(call, request, endpoint, options, terms);
}

async function streamReply(
  call: Call,
  request: GenerateRequest,
  endpoint: Endpoint,
  { gateway, heartbeatMs }: OpenAiOptions,
  terms: RequestTerms,
): Promise<void> {
  const stream = new EventStream(call, heartbeatMs);
  const deliver = async (reply: Reply, decision: Decision | undefined): Promise<void> => {
    call.tellRoute(decision);
    if (reply.kind === 'relay') {
      await reply.relay.pump(stream);
      stream.end();
      return;
    }
    const encoder = endpoint.stream(replyHead(request));
    await pumpParts(reply.parts, (part) => (stream.write(encoder.push(part)) ? undefined : stream.drained()));
    stream.end(encoder.end());
  };
  try {
    await gateway.handle(request, call.client.signal, deliver, terms);
  } catch (error) {
    stream.fail(AppError.from(error));
  }
}

function wholeReply(
  call: Call,
  request: GenerateRequest,
  endpoint: Endpoint,
  { gateway }: OpenAiOptions,
  terms: RequestTerms,
): Promise<void> {
  const collect = async (parts: AsyncIterable<Part>): Promise<void> => {
    const reply = await endpoint.collect(parts, replyHead(request));
    call.sendWhole('application/json', JSON.stringify(reply));
  };
  const deliver = (reply: Reply, decision: Decision | undefined): Promise<void> | void => {
    call.tellRoute(decision);
    return reply.kind === 'relay' ? call.pass(reply.relay) : collect(reply.parts);
  };
  return gateway
    .handle(request, call.client.signal, deliver, terms)
    .then(undefined, (error: unknown) => call.sendError(AppError.from(error)));
}

function replyHead(request: GenerateRequest) {
  return {
    id: `${request.endpoint === 'chat' ? 'chatcmpl' : 'cmpl'}-${request.id.replace(/^req_/, '')}`,
    created: Math.floor(Date.now() / 1000),
    model: request.model,
    includeUsage: request.includeUsage,
    choices: choiceCount(request),
    logprobs: request.topLogprobs !== undefined,
  };
}
