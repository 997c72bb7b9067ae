import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, metric } from '../support/gateway-process.ts';
import { pythonMissing, pythonPath } from '../tools/python.ts';
import { cosine, post, type ServedEncoder, serveEncoder } from './server.ts';

const PYTHON_SCRIPT = fileURLToPath(new URL('./embeddings_client.py', import.meta.url));

/** Of very different lengths, so that a batch has much padding. */
const TEXTS = [
  'A man is eating food.',
  'A man is eating a piece of bread.',
  'The girl is carrying a baby.',
  'A cheetah is running behind its prey, which crosses the dry river bed and disappears between the trees.',
  'hi',
  'Quantum chromodynamics describes the strong interaction. '.repeat(8),
  '我们今天去公园散步。',
  'def add(a, b):\n    return a + b',
];

let served: ServedEncoder;
beforeAll(async () => {
  served = await serveEncoder();
});
afterAll(() => served?.close());

const embed = async (fields: object, signal?: AbortSignal) =>
  post(served.url, '/v1/embeddings', { model: served.model, ...fields }, signal);
const vectorsOf = async (input: unknown): Promise<number[][]> => {
  const { status, body } = await embed({ input });
  expect(status, JSON.stringify(body)).toBe(200);
  return body.data.map((entry: { embedding: number[] }) => entry.embedding);
};

describe('embeddings of a real model', () => {
  it('put sentences that mean the same next to each other', async () => {
    const [food, bread, baby, cheetah] = await vectorsOf(TEXTS.slice(0, 4));
    expect(cosine(food!, bread!)).toBeGreaterThan(0.7);
    expect(cosine(food!, bread!)).toBeGreaterThan(cosine(food!, baby!) + 0.3);
    expect(cosine(food!, bread!)).toBeGreaterThan(cosine(food!, cheetah!) + 0.3);
  });

  it('have 384 dimensions and length 1', async () => {
    for (const vector of await vectorsOf(TEXTS)) {
      expect(vector.length).toBe(384);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    }
  });

  it('are the same alone and in a batch, whatever the padding', async () => {
    const together = await vectorsOf(TEXTS);
    for (const [i, text] of TEXTS.entries()) {
      const [alone] = await vectorsOf(text);
      const difference = Math.max(...alone!.map((value, d) => Math.abs(value - together[i]![d]!)));
      expect(difference, text).toBeLessThan(1e-5);
    }
  });

  it('count the tokens of all inputs, special ones included', async () => {
    const { body } = await embed({ input: ['hello world', 'hello'] });
    expect(body.usage).toEqual({ prompt_tokens: 4 + 3, total_tokens: 7 });
  });

  it('of token ids are those of the text that they stand for', async () => {
    const [text] = await vectorsOf('hello world');
    const [ids] = await vectorsOf([[101, 7592, 2088, 102]]);
    expect(cosine(text!, ids!)).toBeGreaterThan(0.999_999);
  });

  it('cut to fewer dimensions have length 1 again and the same direction', async () => {
    const { body } = await embed({ input: TEXTS[0], dimensions: 64 });
    const cut = body.data[0].embedding as number[];
    const [whole] = await vectorsOf(TEXTS[0]);
    expect(cut.length).toBe(64);
    expect(Math.hypot(...cut)).toBeCloseTo(1, 5);
    expect(cosine(cut, whole!.slice(0, 64))).toBeCloseTo(1, 6);
  });

  it.each<[string, object, object]>([
    [
      'more dimensions than there are',
      { input: 'a', dimensions: 385 },
      { param: 'dimensions', code: 'invalid_value' },
    ],
    ['an empty text', { input: ['a', ''] }, { param: 'input[1]', code: 'invalid_value' }],
    [
      'a token id outside of the vocabulary',
      { input: [[101, 30_522]] },
      { param: 'input[1]', code: 'invalid_value' },
    ],
    [
      'a text that is too long',
      { input: ['a', 'word '.repeat(300)] },
      {
        param: 'input[1]',
        code: 'context_length_exceeded',
        message: expect.stringMatching(/302 tokens.*at most 256/),
      },
    ],
    ['a model that does not exist', { input: 'a', model: 'x' }, { param: 'model', code: 'model_not_found' }],
  ])('are refused for %s, and the error names the field', async (_what, fields, error) => {
    const { status, body } = await embed(fields);
    expect(status).toBe(error && 'code' in error && error.code === 'model_not_found' ? 404 : 400);
    const { param, ...rest } = error as { param: string };
    expect(body.error).toMatchObject({ type: 'invalid_request_error', ...rest });
    expect(body.error.param).toMatch(param.startsWith('input') ? /^input/ : param);
  });

  it('of a text that is too long are cut where the request asks for it', async () => {
    const { body } = await embed({ input: 'word '.repeat(300), truncate_prompt_tokens: -1 });
    expect(body.usage.prompt_tokens).toBe(256);
  });

  it('come for halves of surrogate pairs, and for symbols, as for any text', async () => {
    const texts = ['half \ud83d of a pair', '\udc00', '👩‍👩‍👧‍👦 family', '\u0000 \uffff', ' ', 'é e\u0301'];
    for (const vector of await vectorsOf(texts)) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    const [half, replaced] = await vectorsOf(['half \ud83d of a pair', 'half \ufffd of a pair']);
    expect(half).toEqual(replaced);
  });

  it('as base64 are cut to dimensions as floats are', async () => {
    const fields = { input: TEXTS[0], dimensions: 5 };
    const asText = await embed({ ...fields, encoding_format: 'base64' });
    const asFloats = await embed(fields);
    const bytes = Buffer.from(asText.body.data[0].embedding, 'base64');
    expect(bytes.length).toBe(4 * 5);
    for (const [d, value] of asFloats.body.data[0].embedding.entries())
      expect(bytes.readFloatLE(4 * d)).toBe(Math.fround(value));
  });

  it('come for 2,048 inputs at once, in their order, while a single one does not wait for them', async () => {
    const order: string[] = [];
    const many = vectorsOf(Array.from({ length: 2_048 }, (_, i) => `number ${i}`)).then((vectors) => {
      order.push('many');
      return vectors;
    });
    await eventually('the large request runs', () => served.running.gateway.inFlight > 0);
    await vectorsOf('single');
    order.push('single');
    const vectors = await many;
    expect(order).toEqual(['single', 'many']);
    expect(vectors.length).toBe(2_048);
    const [alone] = await vectorsOf('number 1999');
    expect(cosine(alone!, vectors[1_999]!)).toBeGreaterThan(0.999_999);
    expect((await embed({ input: Array.from({ length: 2_049 }, () => 'a') })).status).toBe(400);
  });

  it('are computed together for 32 clients, each of whom gets its own', async () => {
    const texts = Array.from({ length: 32 }, (_, i) => `client ${i} asks about topic ${i * 7}`);
    const inputsBefore = await metric(served.url, 'qianmen_encoder_batch_size_sum');
    const batchesBefore = await metric(served.url, 'qianmen_encoder_batch_size_count');
    const replies = await Promise.all(texts.map((text) => vectorsOf(text)));
    const alone = await vectorsOf(texts);
    for (const [i, [vector]] of replies.entries())
      expect(cosine(vector!, alone[i]!)).toBeGreaterThan(0.999_999);
    await eventually(
      'the metrics tell of 64 inputs, and perhaps of a last one from before',
      async () => (await metric(served.url, 'qianmen_encoder_batch_size_sum')) - inputsBefore >= 64,
    );
    const batches = (await metric(served.url, 'qianmen_encoder_batch_size_count')) - batchesBefore;
    expect(batches).toBeLessThan(32);
  });

  it('stop long before they would be done when the client goes away, and the next client does not notice', async () => {
    const cancelled = () => metric(served.url, 'qianmen_requests_total');
    const before = await cancelled();
    const controller = new AbortController();
    const long = 'word '.repeat(200);
    const request = embed({ input: Array.from({ length: 2_048 }, () => long) }, controller.signal).catch(
      () => 'gone',
    );
    await eventually('the request runs', () => served.running.gateway.inFlight > 0);
    await vectorsOf('warm');
    controller.abort();
    await request;
    const abortedAtMs = performance.now();
    await eventually('it is settled', () => served.running.gateway.inFlight === 0, 5_000);
    expect(performance.now() - abortedAtMs).toBeLessThan(5_000);
    expect((await vectorsOf('next')).length).toBe(1);
    expect((await cancelled()) - before).toBe(3);
    const text = await (await fetch(`${served.url}/metrics`)).text();
    expect(text).toMatch(
      /qianmen_requests_total\{model="all-minilm-l6-v2",endpoint="embeddings",outcome="cancelled"/,
    );
    expect(served.running.readiness().backends[served.model]).toMatchObject({ inFlight: 0 });
  });
});

describe('the OpenAI SDK for JavaScript', () => {
  const client = () => new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'none', maxRetries: 0 });

  it('gets the same numbers by base64, which it asks for by default, and as floats', async () => {
    const input = TEXTS.slice(0, 3);
    const byDefault = await client().embeddings.create({ model: served.model, input });
    const asFloats = await client().embeddings.create({
      model: served.model,
      input,
      encoding_format: 'float',
    });
    expect(byDefault.data.length).toBe(3);
    for (const [i, { embedding }] of byDefault.data.entries()) {
      expect(embedding.length).toBe(384);
      for (const [d, value] of embedding.entries())
        expect(Math.fround(asFloats.data[i]!.embedding[d]!)).toBe(Math.fround(value));
    }
    expect(byDefault).toMatchObject({
      object: 'list',
      model: served.model,
      usage: { prompt_tokens: expect.any(Number) },
    });
  });

  it('gets a typed error for a chat with an encoder', async () => {
    const chat = client().chat.completions.create({
      model: served.model,
      messages: [{ role: 'user', content: 'hello' }],
    });
    await expect(chat).rejects.toMatchObject({ status: 400, param: 'model', code: 'invalid_value' });
  });

  it('lists the model', async () => {
    const { data } = await client().models.list();
    expect(data.map(({ id }) => id)).toEqual([served.model]);
  });
});

describe.skipIf(pythonMissing())('the OpenAI SDK for Python', () => {
  it('passes every check of the script', async () => {
    const { stdout } = await promisify(execFile)(pythonPath(), [
      PYTHON_SCRIPT,
      `${served.url}/v1`,
      served.model,
    ]);
    expect(JSON.parse(stdout)).toEqual({
      default: null,
      floats: null,
      tokens: null,
      dimensions: null,
      too_long: null,
    });
  });
});
