import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, streamText } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/gateway-process.ts';
import { all } from './all.ts';
import { type Served, serveEmbedded, serveRelayed } from './server.ts';

describe.each([
  ['embedded', serveEmbedded],
  ['relayed', serveRelayed],
] as const)('Vercel AI SDK, %s', (_way, serve) => {
  let served: Served;
  let provider: ReturnType<typeof createOpenAICompatible>;
  const prompt = 'What is the capital of France?';

  beforeAll(async () => {
    served = await serve();
    provider = createOpenAICompatible({ name: 'qianmen', baseURL: served.baseURL, includeUsage: true });
  });
  afterAll(() => served?.close());

  it('generates text and counts tokens', async () => {
    const reply = await generateText({
      model: provider(served.model),
      prompt,
      maxOutputTokens: 4,
      maxRetries: 0,
    });
    expect(reply.text).toMatch(/\w/);
    expect(reply.finishReason).toBe('length');
    expect(reply.usage.outputTokens).toBe(4);
    expect(reply.usage.inputTokens).toBeGreaterThan(4);
  });

  it('streams text and counts tokens', async () => {
    const reply = streamText({ model: provider(served.model), prompt, maxOutputTokens: 4, maxRetries: 0 });
    const pieces = await all(reply.textStream);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe(await reply.text);
    expect(await reply.finishReason).toBe('length');
    expect((await reply.usage).outputTokens).toBe(4);
  });

  it('takes a conversation with a system prompt', async () => {
    const reply = await generateText({
      model: provider(served.model),
      system: 'You are brief.',
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello!' },
        { role: 'user', content: [{ type: 'text', text: prompt }] },
      ],
      maxOutputTokens: 3,
      maxRetries: 0,
    });
    expect(reply.text).toMatch(/\w/);
  });

  it('knows an error that a retry will not mend', async () => {
    const reply = generateText({ model: provider('nope'), prompt, maxRetries: 3 });
    const error = await reply.then(
      () => expect.unreachable('was answered'),
      (reason: unknown) => reason,
    );
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ statusCode: 404, isRetryable: false });
    expect((error as Error).message).toContain('`nope` does not exist');
  });

  it('frees the model when the caller aborts', async () => {
    const controller = new AbortController();
    const reply = streamText({
      model: provider(served.model),
      prompt: 'Tell me a very long story.',
      abortSignal: controller.signal,
      maxRetries: 0,
      onError: () => {},
    });
    for await (const _ of reply.textStream) {
      controller.abort();
      break;
    }
    await eventually('nothing is in flight', () => served.gateway.inFlight === 0, 5_000);
  });
});
