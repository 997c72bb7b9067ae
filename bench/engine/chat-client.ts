import { request } from 'node:http';

/** A client of `/v1/chat/completions` that notes when each piece of text comes, and takes little of the cores it measures. */
export interface Reply {
  readonly startedAtMs: number;
  /** When each piece of text came, one per token as far as both servers hold it. */
  readonly atMs: readonly number[];
  readonly text: string;
}

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

const DATA = 'data: ';

export async function chat(
  url: string,
  messages: readonly Message[],
  maxTokens: number,
  { ignoreEos = true } = {},
): Promise<Reply> {
  const body = JSON.stringify({
    model: 'smol',
    messages,
    max_tokens: maxTokens,
    temperature: 0,
    ignore_eos: ignoreEos,
    stream: true,
  });
  const startedAtMs = performance.now();
  const pieces: Piece[] = [];
  const status = await post(`${url}/v1/chat/completions`, body, pieces);
  const { atMs, text, rest } = read(pieces);
  if (status !== 200) throw new Error(`${status}: ${rest}`);
  if (atMs.length === 0) throw new Error('a reply without text');
  return { startedAtMs, atMs, text };
}

/** Bytes as they came. */
interface Piece {
  readonly atMs: number;
  readonly bytes: Buffer;
}

/** When each piece of text came, with the bytes that made its event whole. Throws an Error where the stream tells of one. */
function read(pieces: readonly Piece[]): { atMs: number[]; text: string; rest: string } {
  const atMs: number[] = [];
  const decoder = new TextDecoder();
  let text = '';
  let rest = '';
  for (const piece of pieces) {
    const lines = (rest + decoder.decode(piece.bytes, { stream: true })).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith(DATA) || line === `${DATA}[DONE]`) continue;
      const chunk = JSON.parse(line.slice(DATA.length));
      if (chunk.error !== undefined) throw new Error(line);
      const content: unknown = chunk.choices?.[0]?.delta?.content;
      if (typeof content !== 'string' || content === '') continue;
      atMs.push(piece.atMs);
      text += content;
    }
  }
  return { atMs, text, rest };
}

/** Resolves to the status when the reply has ended. What comes is only noted: to read it would take from the servers' time. */
function post(url: string, body: string, pieces: Piece[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(url, { method: 'POST', headers, agent: false }, (reply) => {
      reply.on('data', (bytes: Buffer) => pieces.push({ atMs: performance.now(), bytes }));
      reply.once('end', () => resolve(reply.statusCode ?? 0));
      reply.once('error', reject);
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

export function firstTokenMs({ startedAtMs, atMs }: Reply): number {
  return atMs[0]! - startedAtMs;
}

export function longestGapMs({ atMs }: Reply): number {
  return atMs.slice(1).reduce((longest, at, i) => Math.max(longest, at - atMs[i]!), 0);
}
