/**
 * A fake OpenAI-compatible server for tests and load scripts: `/v1/models`, chat and text completions, streamed or not,
 * with faults to order. Runs inside a test (`startFakeUpstream`) or as its own process, so that signals can hit it:
 *
 *   node test/fakes/openai-upstream.ts [--port N] --behaviour '{"itlMs":20,"tokens":100}' [--model NAME]… [--api-key KEY]
 *     [--graceful]
 *
 * which prints one line of JSON, `{"ready":true,"url":…,"port":…}`. From outside, `GET /__fake/state` tells what was
 * seen and `POST /__fake/behaviour` replaces the behaviour.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { listenOnFreePort } from '../support/free-port.ts';
import { type FakeRequest, planReply, streamEvents, wholeReply } from './fake-reply.ts';

export interface FakeBehaviour {
  /** Before the first event, or before the reply when not streaming. */
  readonly ttftMs?: number;
  /** What `/metrics` says; undefined: there is no such page. */
  readonly metrics?: string;
  /** Between events; a reply that is not streamed waits `tokens × itlMs` more. */
  readonly itlMs?: number;
  /** Requests answered at once; the others wait for their turn before anything is sent. */
  readonly capacity?: number;
  /** Length of the reply, cut by the request's max_tokens. Default 8. */
  readonly tokens?: number;
  /** The reply itself, split into words; replaces `tokens`. */
  readonly text?: string;
  /** `prompt_tokens_details.cached_tokens` of the usage. */
  readonly cachedTokens?: number;
  /** Of its usage, in place of the truth. */
  readonly saysUsage?: object;
  /** Answers with this status and `errorBody`. */
  readonly status?: number;
  /** Default: a vLLM-like error. A string is sent as it is. */
  readonly errorBody?: unknown;
  /** The first N requests only get `status`; later ones are answered. Undefined: all. */
  readonly failFirst?: number;
  /** The Retry-After header, as it is. */
  readonly retryAfter?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Nothing is sent, not even headers, for this long. */
  readonly headerDelayMs?: number;
  /** Replaces the content type of a good reply. */
  readonly contentType?: string;
  /** The socket is destroyed after this many events (0: before the headers; without `stream`: before the reply). */
  readonly dieAfterEvents?: number;
  /** Says nothing more after this many events, with the connection open. */
  readonly stallAfterEvents?: number;
  /** Says nothing more after this many events until `release` is called. */
  readonly holdAfterEvents?: number;
  /** After this many events comes one that is not JSON. */
  readonly malformedAfterEvents?: number;
  /** After this many events comes an error event, and the end. */
  readonly errorAfterEvents?: number;
  /** After one event comes a line of this many bytes without an end. */
  readonly hugeLineBytes?: number;
  /** Ends without `[DONE]`. */
  readonly omitDone?: boolean;
  /** No usage, even if asked for (as some servers do). */
  readonly omitUsage?: boolean;
  readonly crlf?: boolean;
  /** The stream is written in pieces of this many bytes, wherever they fall. */
  readonly pieceBytes?: number;
  /** All events in one write. */
  readonly burst?: boolean;
  /** Milliseconds of idleness after which the server closes a connection without announcing it. 0: at once. */
  readonly cutIdleAfterMs?: number;
}

export interface FakeSeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** As received; empty for GET. */
  readonly rawBody: string;
  /** Parsed; undefined when it was not JSON. */
  readonly body: FakeRequest | undefined;
  /** The client left before the reply was complete. */
  aborted: boolean;
  /** The reply was complete. */
  finished: boolean;
  /** Body bytes handed to the connection. */
  sentBytes: number;
}

export interface FakeUpstreamOptions {
  /** Default: one that is free, also to come back to (`listenOnFreePort`). */
  readonly port?: number;
  readonly host?: string;
  /** Served names; others get vLLM's 404. Undefined: any name is served, and `/models` lists `fake-model`. */
  readonly models?: readonly string[];
  readonly apiKey?: string;
  /** Connections that wait to be accepted. Default: Node's 511. */
  readonly backlog?: number;
  readonly behaviour?: FakeBehaviour;
  /** How many requests are remembered. Default 10,000; 100 as its own process. */
  readonly keepRequests?: number;
}

export interface FakeUpstream {
  /** API root, with `/v1`. */
  readonly url: string;
  readonly port: number;
  /** Every request but those for `/models`, `/__fake` and what tells the load, oldest first. */
  readonly requests: readonly FakeSeenRequest[];
  /** Requests being answered. */
  inFlight(): number;
  /** Connections accepted so far. */
  connections(): number;
  setBehaviour(behaviour: FakeBehaviour): void;
  /** Lets streams go on that are held, and no later one be held until the next behaviour. */
  release(): void;
  /** Destroys every open connection. */
  cutConnections(): void;
  /** Takes no more connections, and resolves when every running request is answered. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

const LOAD_PAGES = ['/metrics', '/v1/loads', '/slots'];

const ERROR_EVENT = {
  error: { message: 'EngineCore encountered an issue.', type: 'InternalServerError', param: null, code: 500 },
};

export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  let behaviour = options.behaviour ?? {};
  const requests: FakeSeenRequest[] = [];
  const sockets = new Set<Socket>();
  let running = 0;
  let busy = 0;
  const waiting = new Set<() => void>();
  let released = Promise.withResolvers<void>();
  let accepted = 0;
  let failures = 0;
  let lastId = 0;

  const server = createServer((request, response) => {
    void serve(request, response).catch(() => request.socket.destroy());
  });
  // Only `cutIdleAfterMs` closes idle connections: a test decides when they go stale.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const rawBody = Buffer.concat(pieces).toString();
    const path = request.url ?? '/';
    if (path === '/__fake/state') return json(response, 200, { inFlight: running, accepted, requests });
    if (path === '/__fake/behaviour') {
      behaviour = JSON.parse(rawBody) as FakeBehaviour;
      return json(response, 200, behaviour);
    }
    if (path === '/health') return void response.end();
    if (options.apiKey !== undefined && request.headers.authorization !== `Bearer ${options.apiKey}`) {
      return json(response, 401, { error: 'Unauthorized' });
    }
    if (path === '/v1/models') {
      const data = (options.models ?? ['fake-model']).map((id) => ({
        id,
        object: 'model',
        owned_by: 'fake',
      }));
      return json(response, 200, { object: 'list', data });
    }
    if (LOAD_PAGES.includes(path)) {
      const text = path === '/metrics' ? behaviour.metrics : undefined;
      return void response.writeHead(text === undefined ? 404 : 200).end(text);
    }
    let body: FakeRequest | undefined;
    try {
      body = JSON.parse(rawBody) as FakeRequest;
    } catch {
      body = undefined;
    }
    const seen: FakeSeenRequest = {
      method: request.method ?? '',
      path,
      headers: request.headers,
      rawBody,
      body,
      aborted: false,
      finished: false,
      sentBytes: 0,
    };
    requests.push(seen);
    if (requests.length > (options.keepRequests ?? 10_000)) requests.shift();
    running += 1;
    response.once('close', () => {
      running -= 1;
      seen.finished = response.writableFinished;
      seen.aborted = !response.writableFinished;
      const cutMs = behaviour.cutIdleAfterMs;
      if (cutMs === 0) setImmediate(() => request.socket.destroy());
      else if (cutMs !== undefined) setTimeout(() => request.socket.destroy(), cutMs).unref();
    });
    if (behaviour.capacity === undefined) return answer(seen, response, behaviour);
    await turn(behaviour.capacity, response);
    busy += 1;
    try {
      if (!response.destroyed) await answer(seen, response, behaviour);
    } finally {
      busy -= 1;
      const [next] = waiting;
      next?.();
    }
  }

  async function turn(capacity: number, response: ServerResponse): Promise<void> {
    if (busy < capacity && waiting.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.add(resolve);
    response.once('close', resolve);
    await promise;
    waiting.delete(resolve);
    response.off('close', resolve);
  }

  async function answer(seen: FakeSeenRequest, response: ServerResponse, act: FakeBehaviour): Promise<void> {
    const chat = seen.path === '/v1/chat/completions';
    if (act.headerDelayMs) await pause(act.headerDelayMs, response);
    if (!chat && seen.path !== '/v1/completions') return json(response, 404, { detail: 'Not Found' });
    if (seen.body === undefined)
      return json(response, 400, vllmError(400, 'BadRequestError', 'Invalid JSON'));
    for (const [name, value] of Object.entries(act.headers ?? {})) response.setHeader(name, value);
    if (act.status !== undefined && failures < (act.failFirst ?? Number.POSITIVE_INFINITY)) {
      failures += 1;
      if (act.retryAfter !== undefined) response.setHeader('retry-after', act.retryAfter);
      return json(response, act.status, act.errorBody ?? vllmError(act.status, 'FakeError', 'as ordered'));
    }
    const { model } = seen.body;
    if (options.models !== undefined && !options.models.includes(String(model))) {
      const message = `The model \`${String(model)}\` does not exist.`;
      return json(response, 404, vllmError(404, 'NotFoundError', message, 'model'));
    }
    lastId += 1;
    const requestId = seen.headers['x-request-id'] ?? `fake-${lastId}`;
    const plan = planReply(seen.body, {
      id: `${chat ? 'chatcmpl' : 'cmpl'}-${String(requestId)}`,
      chat,
      tokens: act.tokens ?? 8,
      text: act.text,
      cachedTokens: act.cachedTokens ?? 0,
      usage: act.saysUsage,
    });
    if (act.dieAfterEvents === 0) {
      await pause(act.ttftMs ?? 0, response);
      return void response.socket?.destroy();
    }
    if (seen.body.stream === true) {
      return stream(seen, response, act, streamEvents(plan, { omitUsage: act.omitUsage === true }));
    }
    await pause((act.ttftMs ?? 0) + (act.itlMs ?? 0) * plan.tokens.length, response);
    if (act.stallAfterEvents !== undefined) return;
    if (act.dieAfterEvents !== undefined) return void response.socket?.destroy();
    const reply = wholeReply(plan);
    seen.sentBytes += Buffer.byteLength(reply);
    response.writeHead(200, { 'content-type': act.contentType ?? 'application/json' }).end(reply);
  }

  async function stream(
    seen: FakeSeenRequest,
    response: ServerResponse,
    act: FakeBehaviour,
    events: readonly string[],
  ): Promise<void> {
    const newline = act.crlf ? '\r\n' : '\n';
    const send = async (bytes: Buffer): Promise<void> => {
      const step = act.pieceBytes ?? bytes.length;
      for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
        const piece = bytes.subarray(at, at + step);
        seen.sentBytes += piece.length;
        if (!response.write(piece)) await writable(response);
        // One read each at the other end.
        if (act.pieceBytes !== undefined) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const event = (data: string): Buffer => Buffer.from(`data: ${data}${newline}${newline}`);

    await pause(act.ttftMs ?? 0, response);
    response.writeHead(200, { 'content-type': act.contentType ?? 'text/event-stream; charset=utf-8' });
    response.flushHeaders();
    if (act.burst) {
      await send(Buffer.concat([...events.map(event), event('[DONE]')]));
      return void response.end();
    }
    for (const [position, data] of events.entries()) {
      if (response.destroyed) return;
      if (position === act.stallAfterEvents) return;
      if (position === act.holdAfterEvents) await Promise.race([once(response, 'close'), released.promise]);
      if (position === act.dieAfterEvents) return die(response);
      if (position === act.malformedAfterEvents) await send(event('{"choices": [{"delta": nonsense'));
      if (position === act.errorAfterEvents) {
        await send(event(JSON.stringify(ERROR_EVENT)));
        await send(event('[DONE]'));
        return void response.end();
      }
      if (position === 1 && act.hugeLineBytes !== undefined) {
        await send(Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"'));
        const block = Buffer.alloc(65_536, 'x');
        for (let sent = 0; sent < act.hugeLineBytes && !response.destroyed; sent += block.length) {
          await send(block);
        }
        return;
      }
      if (position > 0 && act.itlMs) await pause(act.itlMs, response);
      await send(event(data));
    }
    if (events.length === act.stallAfterEvents) return;
    if (events.length === act.dieAfterEvents) return die(response);
    if (!act.omitDone) await send(event('[DONE]'));
    response.end();
  }

  const where = {
    host: options.host ?? '127.0.0.1',
    ...(options.backlog !== undefined && { backlog: options.backlog }),
  };
  if (options.port === undefined) await listenOnFreePort(server, where);
  else await once(server.listen({ ...where, port: options.port }), 'listening');
  const { port } = server.address() as AddressInfo;
  const cutConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://${where.host}:${port}/v1`,
    port,
    requests,
    inFlight: () => running,
    connections: () => accepted,
    setBehaviour(next) {
      behaviour = next;
      failures = 0;
      released = Promise.withResolvers();
    },
    release: () => released.resolve(),
    cutConnections,
    async finish() {
      const closed = once(server, 'close');
      server.close();
      const timer = setInterval(() => server.closeIdleConnections(), 10);
      await closed;
      clearInterval(timer);
    },
    async close() {
      cutConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function vllmError(code: number, type: string, message: string, param: string | null = null) {
  return { error: { message, type, param, code } };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json' }).end(text);
}

/** Destroys the connection once what was written has left. */
async function die(response: ServerResponse): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  response.socket?.destroy();
}

/** Resolves when more may be written, or nobody is there to read it. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      response.off('drain', settle).off('close', settle);
      resolve();
    };
    response.on('drain', settle).on('close', settle);
    if (response.destroyed) settle();
  });
}

/** Sleeps, but no longer than the connection lives. */
async function pause(ms: number, response: ServerResponse): Promise<void> {
  if (ms <= 0 || response.destroyed) return;
  const stop = new AbortController();
  const onClose = () => stop.abort();
  response.once('close', onClose);
  await sleep(ms, undefined, { signal: stop.signal }).catch(() => {});
  response.off('close', onClose);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      model: { type: 'string', multiple: true },
      'api-key': { type: 'string' },
      backlog: { type: 'string' },
      behaviour: { type: 'string', default: '{}' },
      graceful: { type: 'boolean', default: false },
    },
  });
  const fake = await startFakeUpstream({
    ...(values.port !== undefined && { port: Number(values.port) }),
    host: values.host,
    ...(values.model && { models: values.model }),
    ...(values['api-key'] !== undefined && { apiKey: values['api-key'] }),
    ...(values.backlog !== undefined && { backlog: Number(values.backlog) }),
    behaviour: JSON.parse(values.behaviour) as FakeBehaviour,
    keepRequests: 100,
  });
  console.log(JSON.stringify({ ready: true, url: fake.url, port: fake.port }));
  const end = () => (values.graceful ? fake.finish() : fake.close());
  process.once('SIGTERM', () => void end().then(() => process.exit(0)));
}
