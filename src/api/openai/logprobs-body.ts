import { isUtf8 } from 'node:buffer';
import type { TokenLogprob } from '../../core/part.ts';

/** JSON has no -Infinity; this is what OpenAI sends for a token that cannot come. */
const IMPOSSIBLE_LOGPROB = -9_999;

interface ChatLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatTokenLogprob extends ChatLogprob {
  readonly top_logprobs: readonly ChatLogprob[];
}

/** The shape of `choices[].logprobs.content` in chat. */
export function chatLogprobs(logprobs: readonly TokenLogprob[]): ChatTokenLogprob[] {
  return logprobs.map((entry) => ({
    token: entry.token,
    logprob: finite(entry.logprob),
    bytes: entry.bytes,
    top_logprobs: entry.top.map((other) => ({
      token: other.token,
      logprob: finite(other.logprob),
      bytes: other.bytes,
    })),
  }));
}

/** The shape of `choices[].logprobs` in completions. Offsets count characters of the reply. */
export interface CompletionLogprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[];
  readonly text_offset: number[];
}

/**
 * Appends to `target`; the first token is at `offset`. Returns the offset of the token after the last. A logprob of NaN
 * stands for the first token of an echoed prompt, which nothing predicts: null on the wire.
 */
export function appendCompletionLogprobs(
  target: CompletionLogprobs,
  logprobs: readonly TokenLogprob[],
  offset: number,
): number {
  let next = offset;
  for (const entry of logprobs) {
    const isUnpredicted = Number.isNaN(entry.logprob);
    target.tokens.push(tokenName(entry));
    target.token_logprobs.push(isUnpredicted ? null : finite(entry.logprob));
    target.top_logprobs.push(isUnpredicted ? null : topByToken(entry));
    // A token that goes on within a character stands where that character does.
    const goesOn = entry.bytes.length > 0 && isContinuation(entry.bytes[0]!) && next > 0;
    target.text_offset.push(goesOn ? next - 1 : next);
    next += entry.bytes.filter((byte) => !isContinuation(byte)).length;
  }
  return next;
}

export function emptyCompletionLogprobs(): CompletionLogprobs {
  return { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
}

/** The drawn token is always among the alternatives. Of tokens that read the same, the likelier one stays. */
function topByToken(entry: TokenLogprob): Record<string, number> {
  const best = new Map<string, number>();
  for (const other of [...entry.top, entry]) {
    const name = tokenName(other);
    const known = best.get(name);
    if (known === undefined || other.logprob > known) best.set(name, finite(other.logprob));
  }
  return Object.fromEntries(best);
}

/** A token that is no whole characters is named by its bytes, as OpenAI does: its text would be the same as many others'. */
function tokenName({ token, bytes }: { readonly token: string; readonly bytes: readonly number[] }): string {
  if (!token.includes('\ufffd') || isUtf8(Uint8Array.from(bytes))) return token;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : IMPOSSIBLE_LOGPROB;
}
