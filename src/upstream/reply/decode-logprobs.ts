import type { TokenLogprob } from '../../core/part.ts';
import { asWire, type Wire } from '../wire/wire-chunk.ts';

/** `choices[].logprobs` of a chat: one entry per token, with its alternatives. */
export function chatLogprobs(value: unknown): readonly TokenLogprob[] | undefined {
  const { content } = asWire(value);
  if (!Array.isArray(content)) return undefined;
  return content.map(asWire).map((entry) => ({
    ...tokenOf(entry),
    top: Array.isArray(entry.top_logprobs) ? entry.top_logprobs.map(asWire).map(tokenOf) : [],
  }));
}

/** `choices[].logprobs` of a text completion: parallel arrays; the alternatives are objects of token → log-probability. */
export function completionLogprobs(value: unknown): readonly TokenLogprob[] | undefined {
  const { tokens, token_logprobs, top_logprobs } = asWire(value);
  if (!Array.isArray(tokens)) return undefined;
  const logprobs = Array.isArray(token_logprobs) ? token_logprobs : [];
  const tops = Array.isArray(top_logprobs) ? top_logprobs : [];
  return tokens.map(String).map((token, i) => ({
    ...textToken(token, logprobs[i]),
    top: Object.entries(asWire(tops[i])).map(([alternative, logprob]) => textToken(alternative, logprob)),
  }));
}

function tokenOf(entry: Wire): { token: string; bytes: readonly number[]; logprob: number } {
  const token = String(entry.token ?? '');
  const bytes = Array.isArray(entry.bytes) ? entry.bytes.map(Number) : [...Buffer.from(token)];
  return { token, bytes, logprob: Number(entry.logprob ?? 0) };
}

function textToken(
  token: string,
  logprob: unknown,
): { token: string; bytes: readonly number[]; logprob: number } {
  return { token, bytes: [...Buffer.from(token)], logprob: Number(logprob ?? 0) };
}
