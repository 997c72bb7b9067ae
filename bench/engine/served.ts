import { chat, firstTokenMs, longestGapMs, type Message, type Reply } from './chat-client.ts';

/** What clients of a server see. */
export interface Served {
  /** By number of clients: tokens per second of all together, from the last first token to the first end. */
  readonly tokensPerSecond: Readonly<Record<string, number>>;
  /** By number of clients that come together, with prompts of 150 tokens, for 96 tokens each. */
  readonly bursts: Readonly<Record<string, Burst>>;
  /** Six replies are being streamed while a prompt of 1,000 tokens arrives. */
  readonly arrival: { readonly longestGapMs: number; readonly firstTokenMs: number };
  /** A chat of 1,000 tokens, its reply and the next question. */
  readonly turns: { readonly firstMs: number; readonly secondMs: number };
}

interface Burst {
  /** Of all replies, from the first request to the last token. */
  readonly tokensPerSecond: number;
  /** Median. */
  readonly firstTokenMs: number;
}

const THROUGHPUT_WORDS = 60;
/** What they are with the question and the template around them. */
export const THROUGHPUT_PROMPT_TOKENS = 95;

/** Tokens that each of so many clients asks for while all decode: some are left when the last one has begun. */
export function throughputTokens(clients: number): number {
  return 64 + 2 * clients;
}

const BURST_WORDS = 105;
const BURST_TOKENS = 96;

const WORDS =
  'the quick brown fox jumps over a lazy dog near an old river where children play every day'.split(' ');
/** The template and the question around them make it 1,000 tokens. */
const LONG_WORDS = 960;

let texts = 0;

/** Text that no server has seen before; about a token a word. */
function newText(words: number): string {
  let state = ++texts * 7_919;
  return Array.from({ length: words }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return WORDS[Math.floor((state / 2_147_483_648) * WORDS.length)];
  }).join(' ');
}

function question(words: number): Message {
  return { role: 'user', content: `Go on with this: ${newText(words)}` };
}

export async function measureServed(url: string, clientCounts: readonly number[]): Promise<Served> {
  // Code is compiled as it is used, and memory taken.
  await throughput(url, clientCounts[0]!);
  const tokensPerSecond: Record<string, number> = {};
  for (const clients of clientCounts) tokensPerSecond[clients] = await throughput(url, clients);
  const bursts: Record<string, Burst> = {};
  for (const clients of clientCounts) bursts[clients] = await burst(url, clients);
  return { tokensPerSecond, bursts, arrival: await arrival(url), turns: await turns(url) };
}

async function burst(url: string, clients: number): Promise<Burst> {
  const replies = await Promise.all(
    Array.from({ length: clients }, () => chat(url, [question(BURST_WORDS)], BURST_TOKENS)),
  );
  const startedAtMs = Math.min(...replies.map((reply) => reply.startedAtMs));
  const endedAtMs = Math.max(...replies.map(({ atMs }) => atMs.at(-1)!));
  const firsts = replies.map(firstTokenMs).sort((a, b) => a - b);
  return {
    tokensPerSecond: (clients * BURST_TOKENS * 1_000) / (endedAtMs - startedAtMs),
    firstTokenMs: firsts[clients >> 1]!,
  };
}

/** Tokens per second of all clients together, from the last first token to the first end. */
export async function throughput(url: string, clients: number): Promise<number> {
  const tokens = throughputTokens(clients);
  const replies = await Promise.all(
    Array.from({ length: clients }, () => chat(url, [question(THROUGHPUT_WORDS)], tokens)),
  );
  const from = Math.max(...replies.map(({ atMs }) => atMs[0]!));
  const to = Math.min(...replies.map(({ atMs }) => atMs.at(-1)!));
  return replies.reduce((sum, { atMs }) => {
    const within = atMs.filter((at) => at >= from && at <= to);
    // From piece to piece: where the span ends amid a step, it does not end amid one of this reply's.
    const piecesPerSecond = ((within.length - 1) * 1_000) / (within.at(-1)! - within[0]!);
    // Tokens that are part of a character come as one piece with those that make it whole.
    return sum + (piecesPerSecond * tokens) / atMs.length;
  }, 0);
}

async function arrival(url: string): Promise<Served['arrival']> {
  const running: Promise<Reply>[] = [];
  for (let i = 0; i < 6; i++) running.push(chat(url, [question(20)], 250));
  // They are all under way once one more, behind them, has been answered.
  await chat(url, [question(5)], 2);
  const arrived = await chat(url, [question(LONG_WORDS)], 4);
  const until = arrived.atMs[0]!;
  const meanwhile = (await Promise.all(running)).map((reply) => ({
    ...reply,
    atMs: [
      ...reply.atMs.filter((at) => at >= arrived.startedAtMs && at <= until),
      // The first one after it ends a pause that began before.
      ...reply.atMs.filter((at) => at > until).slice(0, 1),
    ],
  }));
  if (meanwhile.some(({ atMs }) => atMs.length < 2))
    throw new Error('a reply ended before the prompt arrived');
  return {
    longestGapMs: Math.max(...meanwhile.map(longestGapMs)),
    firstTokenMs: firstTokenMs(arrived),
  };
}

async function turns(url: string): Promise<Served['turns']> {
  const messages = [question(LONG_WORDS)];
  // A reply that goes on after its end would not be read as it was written.
  const first = await chat(url, messages, 60, { ignoreEos: false });
  // A person reads the reply.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  messages.push({ role: 'assistant', content: first.text }, { role: 'user', content: 'And what came then?' });
  return { firstMs: firstTokenMs(first), secondMs: firstTokenMs(await chat(url, messages, 4)) };
}
