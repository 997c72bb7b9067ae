/** A client of `/v1/chat/completions` that notes when each piece of text comes. */
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
  const startedAtMs = performance.now();
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'smol',
      messages,
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eos: ignoreEos,
      stream: true,
    }),
  });
  if (!reply.ok || reply.body === null) throw new Error(`${reply.status}: ${await reply.text()}`);
  const atMs: number[] = [];
  let text = '';
  let rest = '';
  for await (const piece of reply.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith(DATA) || line === `${DATA}[DONE]`) continue;
      const chunk = JSON.parse(line.slice(DATA.length));
      if (chunk.error !== undefined) throw new Error(line);
      const content: unknown = chunk.choices?.[0]?.delta?.content;
      if (typeof content !== 'string' || content === '') continue;
      atMs.push(performance.now());
      text += content;
    }
  }
  if (atMs.length === 0) throw new Error('a reply without text');
  return { startedAtMs, atMs, text };
}

export function firstTokenMs({ startedAtMs, atMs }: Reply): number {
  return atMs[0]! - startedAtMs;
}

export function longestGapMs({ atMs }: Reply): number {
  return atMs.slice(1).reduce((longest, at, i) => Math.max(longest, at - atMs[i]!), 0);
}
