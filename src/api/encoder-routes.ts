import type { Context, Hono } from 'hono';
import type {
  Classifications,
  Embeddings,
  EncodeRequest,
  EncodeResult,
  RerankScores,
} from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import type { WireRequest } from '../core/request.ts';
import type { Gateway, RequestTerms } from '../gateway/gateway.ts';
import { parseClassifyRequest } from './classify/classify-request.ts';
import { classifyBody } from './classify/classify-response.ts';
import type { AppEnv } from './http/app-env.ts';
import type { ClientReply } from './http/client-reply.ts';
import { parseJson } from './http/read-body.ts';
import { requestTerms } from './http/request-terms.ts';
import { parseEmbeddingsRequest } from './openai/embeddings-request.ts';
import { embeddingsBody } from './openai/embeddings-response.ts';
import { clientReply, readJsonBody, sendError, startWhole } from './openai/exchange.ts';
import { parseRerankRequest } from './rerank/rerank-request.ts';
import { rerankBody } from './rerank/rerank-response.ts';

export interface EncoderRouteOptions {
  readonly gateway: Gateway;
  readonly maxBodyBytes: number;
}

/** A request that was understood, and how its result becomes the body of the reply. */
interface Parsed {
  readonly request: EncodeRequest;
  readonly render: (result: EncodeResult) => Iterable<string>;
}

/** Smaller replies are written at once. */
const WRITE_CHARS = 256 * 1024;

type Parse = (body: unknown, wire: WireRequest, id: string) => Parsed;

/** Mounts the routes of models that read text instead of writing it: OpenAI's embeddings, reranking, classification. */
export function encoderRoutes(app: Hono<AppEnv>, options: EncoderRouteOptions): void {
  app.post('/v1/embeddings', (c) => encode(c, '/embeddings', embeddings, options));
  // Cohere's SDK has its second version only.
  for (const path of ['/v1/rerank', '/v2/rerank'])
    app.post(path, (c) => encode(c, '/rerank', rerank, options));
  app.post('/v1/classify', (c) => encode(c, '/classify', classify, options));
}

const embeddings: Parse = (body, wire, id) => {
  const { request, format } = parseEmbeddingsRequest(body, wire, id);
  return { request, render: (result) => embeddingsBody(result as Embeddings, request.model, format) };
};

const rerank: Parse = (body, wire, id) => {
  const { request, options } = parseRerankRequest(body, wire, id);
  return {
    request,
    render: (result) => [JSON.stringify(rerankBody(request, result as RerankScores, options))],
  };
};

const classify: Parse = (body, wire, id) => {
  const request = parseClassifyRequest(body, wire, id);
  const createdS = Math.floor(Date.now() / 1000);
  return {
    request,
    render: (result) => [JSON.stringify(classifyBody(request, result as Classifications, createdS))],
  };
};

async function encode(
  c: Context<AppEnv>,
  path: string,
  parse: Parse,
  { gateway, maxBodyBytes }: EncoderRouteOptions,
): Promise<Response> {
  const body = await readJsonBody(c, maxBodyBytes);
  const wire: WireRequest = { dialect: 'openai', path, body };
  const parsed = parse(parseJson(body), wire, c.get('requestId'));
  const terms = requestTerms(c);
  const client = clientReply(c);
  // The work goes on behind the response, and handles every failure itself.
  void answer(c, client, parsed, gateway, terms);
  return client.response;
}

async function answer(
  c: Context<AppEnv>,
  client: ClientReply,
  { request, render }: Parsed,
  gateway: Gateway,
  terms: RequestTerms,
): Promise<void> {
  try {
    await gateway.encode(
      request,
      client.signal,
      async (reply) => {
        if (reply.kind === 'relay') {
          startWhole(c, client, reply.relay);
          await reply.relay.pump(client);
          client.end();
        } else {
          startWhole(c, client, { contentType: 'application/json' });
          let pending = '';
          for (const piece of render(reply.result)) {
            pending += piece;
            if (pending.length < WRITE_CHARS) continue;
            if (!client.write(pending)) await client.drained();
            // The socket may take all of it without ever being full: others have their turn here.
            await new Promise(setImmediate);
            if (client.signal.aborted) return;
            pending = '';
          }
          client.end(pending);
        }
      },
      terms,
    );
  } catch (error) {
    if (client.started) client.destroy();
    else sendError(c, client, AppError.from(error));
  }
}
