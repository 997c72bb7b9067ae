import OpenAI, { APIError, AuthenticationError, BadRequestError, RateLimitError } from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/gateway-process.ts';
import { type ServedByFake, serveRelayed } from './server.ts';

const messages = [{ role: 'user' as const, content: 'Hello' }];

/** What the SDK makes of an upstream's troubles. */
describe('OpenAI SDK for JavaScript through the relay', () => {
  let served: ServedByFake;
  let client: OpenAI;

  beforeAll(async () => {
    served = await serveRelayed();
    client = new OpenAI({ baseURL: served.baseURL, apiKey: 'client-key', maxRetries: 0 });
  });
  beforeEach(() => served.fake.setBehaviour({}));
  afterAll(() => served?.close());

  const chat = (fields: object = {}) =>
    client.chat.completions.create({ model: served.model, messages, stream: false, ...fields });
  const failure = (fields: object = {}): Promise<APIError> =>
    chat(fields).then(
      () => expect.unreachable('was answered'),
      (error: APIError) => error,
    );

  it("sends vLLM's extra fields on as they came, and the upstream's own model name", async () => {
    await chat({ top_k: 5, chat_template_kwargs: { enable_thinking: false }, client_metadata: { a: 1 } });
    const seen = served.fake.requests.at(-1);
    expect(seen?.body).toMatchObject({
      model: 'fake-model',
      top_k: 5,
      chat_template_kwargs: { enable_thinking: false },
      client_metadata: { a: 1 },
    });
    expect(seen?.headers.authorization).toBeUndefined();
  });

  it('never sends a client template on', async () => {
    const seenBefore = served.fake.requests.length;
    expect(await failure({ chat_template: '{{ 1 }}' })).toBeInstanceOf(BadRequestError);
    expect(served.fake.requests.length).toBe(seenBefore);
  });

  it("does not blame the client for the gateway's key", async () => {
    served.fake.setBehaviour({ status: 401 });
    const error = await failure();
    expect(error).not.toBeInstanceOf(AuthenticationError);
    expect(error.status).toBe(502);
  });

  it('passes on how long to wait', async () => {
    served.fake.setBehaviour({ status: 429, retryAfter: '7' });
    const error = await failure();
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error.headers?.get('retry-after')).toBe('7');
  });

  it("tells of the upstream's refusal with a code that is a string", async () => {
    const errorBody = {
      error: { message: 'max_tokens is too large', type: 'BadRequestError', param: 'max_tokens', code: 400 },
    };
    served.fake.setBehaviour({ status: 400, errorBody });
    const error = await failure();
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error.code).toBeTypeOf('string');
    expect(error.param).toBe('max_tokens');
    expect(error.message).toContain('max_tokens is too large');
  });

  it.each([
    ['dies', { dieAfterEvents: 3 }],
    ['tells of an error', { errorAfterEvents: 3 }],
  ])('throws when the upstream %s in mid-stream, after what was delivered', async (_, behaviour) => {
    served.fake.setBehaviour({ tokens: 20, itlMs: 20, ...behaviour });
    let text = '';
    const read = async () => {
      const stream = await client.chat.completions.create({ model: served.model, messages, stream: true });
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    };
    await expect(read()).rejects.toBeInstanceOf(APIError);
    expect(text).toMatch(/^word0/);
    expect('word0 word1').toContain(text);
  });

  it('stops the upstream when the client leaves before the first token', async () => {
    served.fake.setBehaviour({ ttftMs: 60_000 });
    const controller = new AbortController();
    const reply = client.chat.completions.create(
      { model: served.model, messages, stream: true },
      { signal: controller.signal },
    );
    reply.catch(() => {});
    await eventually('the upstream has the request', () => served.fake.inFlight() === 1);
    controller.abort();
    await expect(reply).rejects.toThrow(/abort/i);
    await eventually('the upstream is free', () => served.fake.inFlight() === 0, 5_000);
    await eventually('nothing is in flight', () => served.gateway.inFlight === 0, 5_000);
  });
});
