import { AppError } from '../../core/error.ts';
import { wantsTls } from '../wire/wants-tls.ts';
import { asWire, jsonOf } from '../wire/wire-chunk.ts';
import { keyless, type Secrets, scrub } from './secrets.ts';

const MAX_MESSAGE_CHARS = 2_000;
const MAX_PARAM_CHARS = 200;

/** In the words of OpenAI and vLLM, of SGLang, of llama.cpp's server and of LM Studio. */
const TOO_LONG =
  /maximum (?:context|model) length|model's context length|available context size|context length of only/i;

const WANTS_TLS = 'HTTP 400: It speaks TLS: begin its url with https://.';
const NOT_SUPPORTED = 'The model server does not support this request.';
/** Anthropic's, and of gateways that pass it on. */
const OVERLOADED = 529;

export interface FailedReply {
  readonly status: number;
  /** The beginning of the body. */
  readonly body: string;
  readonly retryAfterMs: number | undefined;
}

/**
 * What an upstream's refusal means to our client. Its own words are passed on only with 400, 413 and 422, where the
 * client can mend the request; everything else is between the operator and the upstream, and goes into `cause`.
 */
export function mapFailedReply(reply: FailedReply, secrets: Secrets): AppError {
  const { status, retryAfterMs } = reply;
  if (wantsTls(status, reply.body)) return new AppError('upstream_refused', { cause: new Error(WANTS_TLS) });
  const cause = new Error(`HTTP ${status}: ${keyless(reply.body, secrets, MAX_MESSAGE_CHARS)}`);
  switch (status) {
    case 400:
    case 413:
    case 422:
      return rejected(status, reply.body, cause, secrets);
    case 429:
      return new AppError('rate_limit_exceeded', { cause, retryAfterMs });
    case 501:
      // Of llama.cpp's server: what it was not started for. Another one may know it.
      return new AppError('upstream_error', { status, message: NOT_SUPPORTED, cause, retryAfterMs });
    case 503:
    case OVERLOADED:
      return new AppError('upstream_unreachable', { cause, retryAfterMs });
    case 408:
    case 504:
      return new AppError('upstream_timeout', { cause, retryAfterMs });
    default:
      return isMisconfigured(status)
        ? new AppError('upstream_refused', { cause })
        : new AppError('upstream_error', { cause, retryAfterMs });
  }
}

/**
 * Key, credit, path, method or model are not what the server wants, or it is somewhere else: its operator's to mend,
 * and not soon.
 */
function isMisconfigured(status: number): boolean {
  return status < 400 || [401, 402, 403, 404, 405, 410].includes(status);
}

function rejected(status: number, body: string, cause: Error, secrets: Secrets): AppError {
  const { message, param } = readErrorBody(body);
  const tooLong = status === 400 && message !== undefined && TOO_LONG.test(message);
  return new AppError(tooLong ? 'context_length_exceeded' : 'upstream_rejected', {
    status,
    cause,
    ...(param !== undefined && { param: scrub(param, secrets.values).slice(0, MAX_PARAM_CHARS) }),
    ...(message !== undefined && { message: scrub(message, secrets.values).slice(0, MAX_MESSAGE_CHARS) }),
  });
}

/**
 * `{"error":{"message","param"}}` of OpenAI, `{"message"}` of older vLLM, `{"detail"}` of FastAPI: a text, or a list of what is
 * wrong, which Mistral has as its message.
 */
function readErrorBody(body: string): { message: string | undefined; param: string | undefined } {
  const outer = asWire(jsonOf(body));
  const error = asWire(outer.error);
  const invalid = readInvalid(
    [outer.detail, outer.message, asWire(outer.message).detail].find(Array.isArray),
  );
  const message = [error.message, outer.error, outer.message, outer.detail, invalid?.message].find(
    (m) => typeof m === 'string',
  );
  const param = [error.param, outer.param, invalid?.param].find((p) => typeof p === 'string');
  return { message: message || undefined, param: param || undefined };
}

/** The first of `[{"loc":["body","temperature"],"msg":"…"}]`. */
function readInvalid(wrong: readonly unknown[] = []): { message: string; param: string } | undefined {
  const { loc, msg } = asWire(wrong[0]);
  if (typeof msg !== 'string' || !Array.isArray(loc)) return undefined;
  const param = (loc[0] === 'body' ? loc.slice(1) : loc).join('.');
  return { message: `${param}: ${msg}`, param };
}
