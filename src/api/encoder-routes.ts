import { performance } from 'node:perf_hooks';
import type {
  Classifications,
  Embeddings,
  EncodeRequest,
  EncodeResult,
  RerankScores,
} from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import type { WireRequest } from '../core/request.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { parseClassifyRequest } from './classify/classify-request.ts';
import { classifyBody } from './classify/classify-response.ts';
import type { Call } from './http/call.ts';
import type { CallHandler, CallRoutes } from './http/call-routes.ts';
import { parseJson } from './http/parse-json.ts';
import { requestTerms } from './http/request-terms.ts';
import { parseEmbeddingsRequest } from './openai/embeddings-request.ts';
import { embeddingsBody } from './openai/embeddings-response.ts';
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
/** After so long others have their turn. */
const TURN_MS = 4;

type Parse = (body: unknown, wire: WireRequest, id: string) => Parsed;

/** The routes of models that read text instead of writing it: OpenAI's embeddings, reranking, classification. */
export function encoderRoutes(options: EncoderRouteOptions): CallRoutes {
  const route =
    (path: string, parse: Parse): CallHandler =>
    (call) =>
      encode(call, path, parse, options);
  return {
    '/v1/embeddings': route('/embeddings', embeddings),
    // Cohere's SDK has its second version only.
    '/v1/rerank': route('/rerank', rerank),
    '/v2/rerank': route('/rerank', rerank),
    '/v1/classify': route('/classify', classify),
  };
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
  call: Call,
  path: string,
  parse: Parse,
  { gateway, maxBodyBytes }: EncoderRouteOptions,
): Promise<void> {
  const body = await call.readJson(maxBodyBytes);
  const wire: WireRequest = { dialect: 'openai', path, body };
  const { request, render } = parse(parseJson(body), wire, call.requestId);
  const terms = requestTerms(call);
  try {
    await gateway.encode(
      request,
      call.client.signal,
      (reply) => (reply.kind === 'relay' ? call.pass(reply.relay) : write(call, render(reply.result))),
      terms,
    );
  } catch (error) {
    call.sendError(AppError.from(error));
  }
}

async function write(call: Call, body: Iterable<string>): Promise<void> {
  const { client } = call;
  call.startWhole('application/json');
  let pending = '';
  let turnEndsMs = performance.now() + TURN_MS;
  for (const piece of body) {
    pending += piece;
    if (pending.length >= WRITE_CHARS) {
      if (!client.write(pending)) await client.drained();
      pending = '';
    }
    if (performance.now() < turnEndsMs) continue;
    await new Promise(setImmediate);
    if (client.signal.aborted) return;
    turnEndsMs = performance.now() + TURN_MS;
  }
  client.end(pending);
}
