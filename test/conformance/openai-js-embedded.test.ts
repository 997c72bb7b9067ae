import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { all } from './all.ts';
import { type Served, serveEmbedded } from './server.ts';

/** The model is sure of its answer, so that it is the same on every processor. */
const messages = [{ role: 'user' as const, content: 'What is the capital of Japan?' }];

/** What only a real model can show. */
describe('OpenAI SDK for JavaScript on the embedded model', () => {
  let served: Served;
  let client: OpenAI;
  let model: string;

  beforeAll(async () => {
    served = await serveEmbedded();
    model = served.model;
    client = new OpenAI({ baseURL: served.baseURL, apiKey: 'none', maxRetries: 0 });
  });
  afterAll(() => served?.close());

  const chat = (fields: object) =>
    client.chat.completions.create({
      model,
      messages,
      max_tokens: 24,
      temperature: 0,
      stream: false,
      ...fields,
    });

  it('knows the capital of Japan', async () => {
    const reply = await chat({});
    expect(reply.choices[0]?.message.content).toContain('Tokyo');
    expect(reply.choices[0]?.finish_reason).toBe('stop');
  });

  it('gives log-probabilities whose tokens and bytes make up the text', async () => {
    const reply = await chat({ logprobs: true, top_logprobs: 5, max_tokens: 6 });
    const [choice] = reply.choices;
    const tokens = choice?.logprobs?.content ?? [];
    expect(tokens).toHaveLength(6);
    expect(tokens.map((entry) => entry.token).join('')).toBe(choice?.message.content);
    expect(Buffer.from(tokens.flatMap((entry) => entry.bytes ?? [])).toString()).toBe(
      choice?.message.content,
    );
    for (const entry of tokens) {
      expect(entry.top_logprobs).toHaveLength(5);
      const values = entry.top_logprobs.map((other) => other.logprob);
      expect(values).toEqual(values.toSorted((a, b) => b - a));
      // Greedy: the likeliest was drawn.
      expect(entry.top_logprobs[0]).toMatchObject({ token: entry.token });
      expect(entry.logprob).toBeCloseTo(values[0]!, 5);
      expect(entry.logprob).toBeLessThanOrEqual(0);
    }
  });

  it('streams the same log-probabilities', async () => {
    const fields = { logprobs: true, top_logprobs: 2, max_tokens: 6 };
    const whole = await chat(fields);
    const stream = await client.chat.completions.create({
      ...{ model, messages, temperature: 0, stream: true },
      ...fields,
    });
    const streamed = (await all(stream)).flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
    expect(streamed.map((entry) => entry.token)).toEqual(
      whole.choices[0]?.logprobs?.content?.map((entry) => entry.token),
    );
  });

  it('never leaks a stop string that spans tokens, streamed or not', async () => {
    const reply = await chat({ logprobs: true });
    const text = reply.choices[0]?.message.content ?? '';
    const tokens = reply.choices[0]?.logprobs?.content?.map((entry) => entry.token) ?? [];
    const [third, fourth] = [tokens[3] ?? '', tokens[4] ?? ''];
    // The end of one token and the beginning of the next.
    const stop = third.slice(-2) + fourth.slice(0, 2);
    expect(stop.length).toBeGreaterThan(2);
    const expected = text.slice(0, text.indexOf(stop));

    const stopped = await chat({ stop: ['never said', stop] });
    expect(stopped.choices[0]).toMatchObject({ message: { content: expected }, finish_reason: 'stop' });
    const stream = await client.chat.completions.create({
      ...{ model, messages, max_tokens: 24, temperature: 0, stream: true },
      stop,
    });
    let streamed = '';
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? '';
      expect(expected.startsWith(streamed)).toBe(true);
    }
    expect(streamed).toBe(expected);
  });

  it('keeps the stop string where vLLM would be asked to', async () => {
    const reply = await chat({ stop: 'Tokyo', include_stop_str_in_output: true });
    expect(reply.choices[0]?.message.content).toMatch(/Tokyo$/);
  });

  it('draws the same text from the same seed, whatever runs beside it', async () => {
    const drawn = { temperature: 1, seed: 42, max_tokens: 12 };
    const alone = await chat(drawn);
    const [beside] = await Promise.all([
      chat(drawn),
      chat({ temperature: 1, max_tokens: 12, seed: 7 }),
      chat({ max_tokens: 20 }),
    ]);
    expect(beside.choices[0]?.message.content).toBe(alone.choices[0]?.message.content);
    const other = await chat({ ...drawn, seed: 43, max_tokens: 24 });
    const again = await chat({ ...drawn, max_tokens: 24 });
    expect(other.choices[0]?.message.content).not.toBe(again.choices[0]?.message.content);
  });

  it('obeys a bias that forbids a token', async () => {
    const free = await client.completions.create({
      model,
      prompt: 'The capital of France is',
      max_tokens: 1,
      temperature: 0,
      logprobs: 1,
    });
    const banned = free.choices[0]?.logprobs?.tokens?.[0];
    expect(banned).toBe(' Paris');
    const id = 7042; // " Paris" in the vocabulary of SmolLM2
    const reply = await client.completions.create({
      ...{ model, prompt: 'The capital of France is', max_tokens: 1, temperature: 0 },
      logit_bias: { [id]: -100 },
    });
    expect(reply.choices[0]?.text).not.toBe(' Paris');
  });

  it('refuses what the model cannot do, naming the field', async () => {
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };
    await expect(chat({ messages: [{ role: 'user', content: [image] }] })).rejects.toMatchObject({
      status: 400,
      param: 'messages[0].content[0]',
    });
    await expect(chat({ response_format: { type: 'structural_tag' } })).rejects.toMatchObject({
      status: 400,
      param: 'response_format',
    });
    await expect(client.completions.create({ model, prompt: 'a', suffix: 'b' })).rejects.toMatchObject({
      status: 400,
      param: 'suffix',
    });
  });

  it('refuses a prompt longer than the context', async () => {
    const content = 'word '.repeat(20_000);
    await expect(chat({ messages: [{ role: 'user', content }] })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    });
  });

  it('echoes the prompt and answers each of several prompts', async () => {
    const reply = await client.completions.create({
      ...{ model, max_tokens: 4, temperature: 0, echo: true },
      prompt: ['One, two, three,', 'The capital of France is'],
    });
    const texts = reply.choices.map((choice) => choice.text);
    expect(texts[0]).toMatch(/^One, two, three,.+/);
    expect(texts[1]).toMatch(/^The capital of France is Paris/);
  });

  it('gives log-probabilities of completions in the legacy shape', async () => {
    const reply = await client.completions.create({
      ...{ model, prompt: 'The capital of France is', max_tokens: 4, temperature: 0, logprobs: 3 },
    });
    const [choice] = reply.choices;
    const { tokens, token_logprobs, top_logprobs, text_offset } = choice!.logprobs!;
    expect(tokens?.join('')).toBe(choice?.text);
    expect(token_logprobs).toHaveLength(4);
    expect(text_offset?.[0]).toBe(0);
    expect(text_offset?.[1]).toBe(tokens?.[0]?.length);
    for (const top of top_logprobs ?? []) expect(Object.keys(top).length).toBeGreaterThanOrEqual(3);
  });
});
