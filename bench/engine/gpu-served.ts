import { createEngineBackend, type EngineBackend } from '../../src/engine/engine-backend.ts';
import type { ProviderChoice } from '../../src/model-process/provider-choice.ts';
import { describeProvider } from '../../src/model-process/provider-info.ts';
import { chat, collect, textOf, tokensOf } from '../../test/engine/requests.ts';

const REPLY_TOKENS = 64;
const LIMIT_MS = 120_000;

/** What an engine with its process, scheduler, tokenizer and sampler does. */
export interface Served {
  /** Such as `on webgpu (not cuda: …)`. */
  readonly where: string;
  readonly loadMs: number;
  /** To a question, greedily. */
  readonly answer: string;
  /** Tokens per second by number of chats at once, prompts included. */
  readonly tokensPerSecond: Readonly<Record<number, number>>;
}

/** The engine as the gateway starts it. Throws where the provider cannot be used. */
export async function measureServed(
  options: ProviderChoice & {
    readonly modelPath: string;
    readonly cacheDir: string;
    readonly clients: readonly number[];
  },
): Promise<Served> {
  const { clients, ...engineOptions } = options;
  const engine = createEngineBackend({
    name: 'm',
    slots: Math.max(...clients),
    emit: () => {},
    ...engineOptions,
  });
  try {
    const startedAtMs = performance.now();
    await engine.ready;
    const loadMs = performance.now() - startedAtMs;
    const answer = await ask(engine, 'What is the capital of France?', 24, false);
    const tokensPerSecond: Record<number, number> = {};
    for (const count of clients) {
      await burst(engine, count, 'warm-up');
      tokensPerSecond[count] = await burst(engine, count, 'measured');
    }
    return { where: describeProvider(engine.info()!), loadMs, answer: answer.text, tokensPerSecond };
  } finally {
    await engine.close();
  }
}

async function burst(engine: EngineBackend, count: number, salt: string): Promise<number> {
  const sinceMs = performance.now();
  const replies = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      ask(
        engine,
        `${salt} ${i}: tell a story about ${'a ship and its crew '.repeat(20)}`,
        REPLY_TOKENS,
        true,
      ),
    ),
  );
  const tokens = replies.reduce((sum, reply) => sum + reply.tokens, 0);
  return (tokens * 1_000) / (performance.now() - sinceMs);
}

async function ask(engine: EngineBackend, text: string, maxTokens: number, ignoreEos: boolean) {
  const request = chat(text, { stop: { maxTokens, ignoreEos } });
  const parts = await collect(
    await engine.run(request, { model: 'm', signal: AbortSignal.timeout(LIMIT_MS) }),
  );
  return { text: textOf(parts), tokens: tokensOf(parts) };
}
