import type { AppError } from '../../core/error.ts';
import { asWire, choicesOf, jsonOf } from '../wire/wire-chunk.ts';
import { mapFailedReply } from './failed-reply.ts';
import { keyless, type Secrets } from './secrets.ts';
import { unexpectedReply } from './server-faults.ts';

/** The client can mend its request, or come back later: neither says anything against the server. */
const REFUSALS: ReadonlySet<number> = new Set([400, 413, 422, 429]);
/** Where the code or the type is a word: those of OpenAI and Azure, and Anthropic's. */
const REFUSING_WORDS: Readonly<Record<string, number>> = {
  context_length_exceeded: 400,
  rate_limit_exceeded: 429,
  rate_limit_error: 429,
};
const MAX_CHARS = 500;

/**
 * The error that a server put into a reply or a chunk with status 200, if it did: as OpenAI has it, as older vLLM
 * (`object`), Anthropic (`type`), Gemini (a list), FastAPI (`detail`), and gateways do; also in a choice
 * (OpenRouter).
 */
export function errorOf(parsed: unknown): unknown {
  if (Array.isArray(parsed)) return parsed.length > 0 ? parsed : undefined;
  const wire = asWire(parsed);
  if (isSaid(wire.error)) return wire.error;
  if (wire.object === 'error') return wire;
  const choices = choicesOf(wire);
  if (choices.length > 0)
    return choices.find((choice) => isSaid(choice.error) || choice.finish_reason === 'error');
  if (wire.data !== undefined || wire.results !== undefined) return undefined;
  const isError = wire.type === 'error' || isSaid(wire.errors) || isSaid(wire.detail) || isSaid(wire.message);
  return isError ? wire : undefined;
}

/** Some say of every reply that it is none. */
function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== '' && value !== 0;
}

/**
 * What an error means that came with status 200, in place of a reply or in the middle of one. Some servers (llama.cpp's,
 * OpenRouter) put there what others answer with a status of its own, and tell that as its code.
 *
 * @param text Of the error, as JSON; it may be cut, or anything else. @param where It stood.
 */
export function errorWithin(text: string, where: string, secrets: Secrets): AppError {
  return meaningOf(jsonOf(text), text, where, secrets);
}

/** The same of one that has been read already (`errorOf`). */
export function errorSaid(error: unknown, where: string, secrets: Secrets): AppError {
  return meaningOf(error, asJson(error), where, secrets);
}

/** The same of a body in place of a reply; undefined: it is no error, as far as can be told. */
export function errorToldBy(body: string, where: string, secrets: Secrets): AppError | undefined {
  const error = errorOf(jsonOf(body));
  return error === undefined ? undefined : errorSaid(error, where, secrets);
}

function meaningOf(said: unknown, text: string, where: string, secrets: Secrets): AppError {
  const error = errorOf(said) ?? said;
  const { code, status, status_code, type } = asWire(error);
  const refusal = [code, status, status_code, type]
    .map((told) => REFUSING_WORDS[String(told)] ?? Number(told))
    .find((one) => REFUSALS.has(one));
  return refusal === undefined
    ? unexpectedReply(`${where}: ${keyless(text, secrets, MAX_CHARS)}`)
    : mapFailedReply({ status: refusal, body: asJson({ error }), retryAfterMs: undefined }, secrets);
}

/** What goes very deep can be parsed, but not be written again. */
function asJson(said: unknown): string {
  try {
    return JSON.stringify(said);
  } catch {
    return 'more than can be told';
  }
}
