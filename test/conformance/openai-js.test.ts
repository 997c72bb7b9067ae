import OpenAI, { APIError, BadRequestError, NotFoundError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/gateway-process.ts';
import { all } from './all.ts';
import { type Served, serveEmbedded, serveRelayed } from './server.ts';

const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }];

/** What the unmodified OpenAI SDK must see, whichever way a reply travels. */
describe.each([
  ['embedded', serveEmbedded],
  ['relayed', serveRelayed],
] as const)('OpenAI SDK for JavaScript, %s', (_way, serve) => {
  let served: Served;
  let client: OpenAI;
  let model: string;

  beforeAll(async () => {
    served = await serve();
    model = served.model;
    client = new OpenAI({ baseURL: served.baseURL, apiKey: 'none', maxRetries: 0 });
  });
  afterAll(() => served?.close());

  describe('chat', () => {
    it('answers with every key the types promise', async () => {
      const {
        data: reply,
        response,
        request_id,
      } = await client.chat.completions
        .create({ model, messages, max_completion_tokens: 8, temperature: 0 })
        .withResponse();
      expect(reply).toMatchObject({ object: 'chat.completion' });
      expect(reply.id).toMatch(/^chatcmpl-/);
      expect(reply.created).toBeTypeOf('number');
      const [choice] = reply.choices;
      expect(choice).toMatchObject({
        index: 0,
        logprobs: null,
        message: { role: 'assistant', refusal: null },
      });
      expect(choice?.message.content).toMatch(/\w/);
      expect(['stop', 'length']).toContain(choice?.finish_reason);
      expect(reply.usage?.total_tokens).toBe(reply.usage!.prompt_tokens + reply.usage!.completion_tokens);
      expect(request_id).toMatch(/^req_/);
      expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    });

    it('streams role first, finish last, and no usage unasked', async () => {
      const stream = await client.chat.completions.create({ model, messages, max_tokens: 8, stream: true });
      const chunks = await all(stream);
      expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
      expect(chunks.every((chunk) => chunk.object === 'chat.completion.chunk')).toBe(true);
      expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
      const finishes = chunks.map((chunk) => chunk.choices[0]?.finish_reason);
      expect(finishes.slice(0, -1).every((reason) => reason === null)).toBe(true);
      expect(['stop', 'length']).toContain(finishes.at(-1));
      expect(chunks.some((chunk) => chunk.usage)).toBe(false);
      expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toMatch(/\w/);
    });

    it('ends with a chunk of usage alone when asked', async () => {
      const stream = await client.chat.completions.create({
        model,
        messages,
        max_tokens: 4,
        stream: true,
        stream_options: { include_usage: true },
      });
      const chunks = await all(stream);
      const last = chunks.pop();
      expect(last?.choices).toEqual([]);
      expect(last?.usage?.completion_tokens).toBe(4);
      expect(chunks.every((chunk) => (chunk.usage ?? null) === null)).toBe(true);
    });

    it("feeds the SDK's own stream helper", async () => {
      const final = await client.chat.completions
        .stream({ model, messages, max_tokens: 4, stream_options: { include_usage: true } })
        .finalChatCompletion();
      expect(final.choices[0]?.message.content).toMatch(/\w/);
      expect(final.usage?.completion_tokens).toBe(4);
    });

    it('gives n choices, streamed or not', async () => {
      const fields = { model, messages, max_tokens: 3, n: 2, seed: 1 };
      const whole = await client.chat.completions.create(fields);
      expect(whole.choices.map((choice) => choice.index)).toEqual([0, 1]);
      expect(whole.usage?.completion_tokens).toBe(6);
      const chunks = await all(await client.chat.completions.create({ ...fields, stream: true }));
      for (const index of [0, 1]) {
        const own = chunks.flatMap((chunk) => chunk.choices.filter((choice) => choice.index === index));
        expect(own[0]?.delta.role).toBe('assistant');
        expect(own.filter((choice) => choice.finish_reason !== null)).toHaveLength(1);
      }
    });

    it('stops at the length asked for, under the old name and the new', async () => {
      for (const limit of [{ max_tokens: 3 }, { max_completion_tokens: 3 }]) {
        const reply = await client.chat.completions.create({ model, messages, ...limit });
        expect(reply.choices[0]?.finish_reason).toBe('length');
        expect(reply.usage?.completion_tokens).toBe(3);
      }
    });

    it('accepts content as parts, and fields it has no use for', async () => {
      const reply = await client.chat.completions.create({
        model,
        messages: [
          { role: 'developer', content: [{ type: 'text', text: 'Be brief.' }] },
          { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
        ],
        max_tokens: 2,
        user: 'u',
        metadata: { a: 'b' },
        store: false,
        prompt_cache_key: 'k',
        safety_identifier: 's',
        service_tier: 'auto',
        verbosity: 'low',
      });
      expect(reply.choices).toHaveLength(1);
    });

    it('stops working when the client leaves in mid-stream, and serves the next', async () => {
      const stream = await client.chat.completions.create({
        model,
        messages,
        max_tokens: 2_000,
        stream: true,
        ...{ ignore_eos: true },
      });
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
      await eventually('nothing is in flight', () => served.gateway.inFlight === 0, 5_000);
      await client.chat.completions.create({ model, messages, max_tokens: 1 });
    });
  });

  describe('errors', () => {
    const failure = async (promise: PromiseLike<unknown>): Promise<APIError> => {
      const error = await Promise.resolve(promise).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(APIError);
      return error as APIError;
    };

    it('are NotFoundError for an unknown model, streamed or not', async () => {
      for (const stream of [false, true]) {
        const error = await failure(client.chat.completions.create({ model: 'nope', messages, stream }));
        expect(error).toBeInstanceOf(NotFoundError);
        expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
        expect(error.message).toContain('The model `nope` does not exist');
        expect(error.requestID).toMatch(/^req_/);
      }
    });

    it('are BadRequestError with the field at fault', async () => {
      const chat = (fields: object) =>
        failure(client.chat.completions.create({ model, messages, ...fields }));
      expect(await chat({ temperature: 3 })).toMatchObject({ status: 400, param: 'temperature' });
      expect(await chat({ messages: [] })).toMatchObject({ param: 'messages' });
      expect(await chat({ n: 1_000 })).toMatchObject({ param: 'n' });
      const error = await chat({ messages: [{ role: 'user', content: [{ type: 'x' }] }] });
      expect(error).toBeInstanceOf(BadRequestError);
      expect(error).toMatchObject({ type: 'invalid_request_error', param: 'messages[0].content[0].type' });
    });
  });

  describe('models', () => {
    it('are listed and found', async () => {
      const listed = await all(client.models.list());
      expect(listed.map((entry) => entry.id)).toContain(model);
      const found = await client.models.retrieve(model);
      expect(found).toMatchObject({ id: model, object: 'model', owned_by: 'qianmen' });
      expect(Number.isInteger(found.created)).toBe(true);
    });

    it('are not found under another name', async () => {
      await expect(client.models.retrieve('org/nope')).rejects.toBeInstanceOf(NotFoundError);
    });
  });

  describe('completions', () => {
    it('continue a string, 16 tokens unless told', async () => {
      const reply = await client.completions.create({
        model,
        prompt: 'One, two, three,',
        ...{ ignore_eos: true },
      });
      expect(reply.object).toBe('text_completion');
      expect(reply.id).toMatch(/^cmpl-/);
      expect(reply.choices[0]?.text).toMatch(/\w/);
      expect(reply.choices[0]?.logprobs).toBeNull();
    });

    it('continue token ids', async () => {
      const reply = await client.completions.create({ model, prompt: [504, 3575, 282], max_tokens: 3 });
      expect(reply.choices).toHaveLength(1);
      expect(reply.usage?.completion_tokens).toBe(3);
    });

    it('stream', async () => {
      const stream = await client.completions.create({
        model,
        prompt: 'One, two,',
        max_tokens: 3,
        stream: true,
      });
      const chunks = await all(stream);
      expect(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join('')).toMatch(/\w/);
      expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('length');
    });
  });
});
