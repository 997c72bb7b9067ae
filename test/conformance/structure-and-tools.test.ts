import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { all } from './all.ts';
import { type Served, serveEmbedded } from './server.ts';

const Person = z.object({
  name: z.string().max(12),
  age: z.int().min(1).max(120),
  likes: z
    .array(z.enum(['tea', 'coffee', 'water']))
    .min(1)
    .max(2),
});
const City = z.object({ city: z.enum(['Paris', 'Beijing']), days: z.int().min(1).max(7) });

const messages = [{ role: 'user' as const, content: 'What is the weather in Paris tomorrow?' }];
const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'Tells the weather of the next days.',
    parameters: z.toJSONSchema(City, { target: 'draft-7' }) as Record<string, unknown>,
  },
};
const time = {
  type: 'function' as const,
  function: { name: 'time', parameters: { type: 'object', properties: {} } },
};

let served: Served;
beforeAll(async () => {
  served = await serveEmbedded();
});
afterAll(() => served?.close());

describe('OpenAI SDK for JavaScript', () => {
  let client: OpenAI;
  beforeAll(() => {
    client = new OpenAI({ baseURL: served.baseURL, apiKey: 'none', maxRetries: 0 });
  });

  it('parses a reply into the type it asked for', async () => {
    const reply = await client.chat.completions.parse({
      model: served.model,
      messages: [{ role: 'user', content: 'Invent a person.' }],
      response_format: zodResponseFormat(Person, 'person'),
      seed: 1,
    });
    expect(Person.parse(reply.choices[0]?.message.parsed)).toBeDefined();
    expect(reply.choices[0]?.finish_reason).toBe('stop');
  });

  it('gets an object in JSON mode, streamed', async () => {
    const stream = client.chat.completions.stream({
      model: served.model,
      messages: [{ role: 'user', content: 'Say hello as JSON.' }],
      response_format: { type: 'json_object' },
      temperature: 0,
    });
    const reply = await stream.finalChatCompletion();
    expect(JSON.parse(reply.choices[0]?.message.content ?? '')).toBeTypeOf('object');
  });

  it.each([
    ['required', 'required'],
    ['named', { type: 'function', function: { name: 'weather' } }],
  ] as const)('gets a call of a tool that is %s, with valid arguments', async (_, tool_choice) => {
    const reply = await client.chat.completions.create({
      model: served.model,
      messages,
      tools: [weather],
      tool_choice,
      parallel_tool_calls: false,
      seed: 3,
    });
    const [choice] = reply.choices;
    expect(choice?.finish_reason).toBe('tool_calls');
    expect(choice?.message.content).toBeNull();
    expect(choice?.message.tool_calls).toEqual([
      { id: expect.stringMatching(/^call_\w+$/), type: 'function', function: expect.any(Object) },
    ]);
    const [call] = choice?.message.tool_calls ?? [];
    if (call?.type !== 'function') throw new Error('no function was called');
    expect(call.function.name).toBe('weather');
    City.parse(JSON.parse(call.function.arguments));
  });

  it('runs tools and goes on with what they said', async () => {
    const asked: unknown[] = [];
    const runner = client.chat.completions.runTools({
      model: served.model,
      messages,
      tools: [
        zodFunction({
          name: 'weather',
          parameters: City,
          function: (city) => {
            asked.push(city);
            return 'sunny';
          },
        }),
      ],
      tool_choice: { type: 'function', function: { name: 'weather' } },
      parallel_tool_calls: false,
      max_tokens: 60,
    });
    await runner.done();
    // A named tool is called once; the helper then stops.
    expect(asked).toEqual([expect.objectContaining({ city: expect.any(String) })]);
  });

  it('streams a call as deltas: id, type and name once, then only arguments', async () => {
    const stream = await client.chat.completions.create({
      model: served.model,
      messages,
      tools: [weather, time],
      tool_choice: 'required',
      parallel_tool_calls: false,
      temperature: 0,
      stream: true,
    });
    const chunks = await all(stream);
    const deltas = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    expect(deltas[0]).toMatchObject({ index: 0, id: expect.any(String), type: 'function' });
    expect(['weather', 'time']).toContain(deltas[0]?.function?.name);
    for (const delta of deltas.slice(1)) expect(Object.keys(delta).toSorted()).toEqual(['function', 'index']);
    for (const chunk of chunks)
      if (chunk.choices[0] && 'tool_calls' in chunk.choices[0].delta)
        expect(chunk.choices[0].delta.tool_calls).not.toEqual([]);
    expect(JSON.parse(deltas.map((delta) => delta.function?.arguments ?? '').join(''))).toBeTypeOf('object');
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls');
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('');
  });

  it('takes a conversation with calls and their results', async () => {
    const reply = await client.chat.completions.create({
      model: served.model,
      messages: [
        ...messages,
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              id: 'c1',
              type: 'function',
              function: { name: 'weather', arguments: '{"city":"Paris","days":1}' },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'sunny, 21 degrees' },
      ],
      tools: [weather],
      tool_choice: 'none',
      temperature: 0,
      max_tokens: 60,
    });
    expect(reply.choices[0]?.message.tool_calls).toBeUndefined();
    expect(reply.choices[0]?.message.content).toMatch(/sunny|21/i);
  });

  it('may answer in text where a tool is only allowed', async () => {
    const reply = await client.chat.completions.create({
      model: served.model,
      messages: [{ role: 'user', content: 'Hello!' }],
      tools: [time],
      temperature: 0,
      max_tokens: 40,
    });
    const [choice] = reply.choices;
    expect(choice?.message.content ?? choice?.message.tool_calls).toBeTruthy();
  });

  it('learns which field asked for what cannot be had', async () => {
    const asking = (fields: object) =>
      client.chat.completions.create({ model: served.model, messages, stream: false, ...fields });
    await expect(
      asking({
        response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { not: {} } } },
      }),
    ).rejects.toMatchObject({ status: 400, code: 'invalid_value', param: 'response_format' });
    const broken = { type: 'function', function: { name: 'f', parameters: { type: 'nothing' } } };
    await expect(asking({ tools: [broken], tool_choice: 'required' })).rejects.toMatchObject({
      status: 400,
      code: 'invalid_value',
      param: 'tools',
    });
  });

  it('is held to expressions and choices as vLLM has them, in completions too', async () => {
    const fields = { model: served.model, prompt: 'The capital of France is', max_tokens: 20 };
    const choice = await client.completions.create({
      ...fields,
      guided_choice: [' Rome', ' Paris'],
    } as typeof fields);
    expect([' Rome', ' Paris']).toContain(choice.choices[0]?.text);
    const structured_outputs = { regex: ' [A-Z]{3}!' };
    const regex = await client.completions.create({ ...fields, structured_outputs } as typeof fields);
    expect(regex.choices[0]?.text).toMatch(/^ [A-Z]{3}!$/);
  });
});

describe('Vercel AI SDK', () => {
  const provider = () =>
    createOpenAICompatible({
      name: 'qianmen',
      baseURL: served.baseURL,
      includeUsage: true,
      supportsStructuredOutputs: true,
    });

  it('generates an object of a schema', async () => {
    const { object } = await generateObject({
      model: provider()(served.model),
      schema: Person,
      prompt: 'Invent a person.',
      maxRetries: 0,
      seed: 2,
    });
    expect(Person.parse(object)).toEqual(object);
  });

  const tools = {
    weather: tool({ description: 'Tells the weather.', inputSchema: City, execute: async () => 'sunny' }),
  };

  it('generates text with a tool that has to be called, and runs it', async () => {
    const reply = await generateText({
      model: provider()(served.model),
      tools,
      toolChoice: 'required',
      prompt: 'What is the weather in Paris?',
      maxRetries: 0,
      seed: 4,
    });
    expect(reply.finishReason).toBe('tool-calls');
    expect(reply.toolCalls.length).toBeGreaterThan(0);
    for (const call of reply.toolCalls) City.parse(call.input);
    expect(reply.toolResults[0]?.output).toBe('sunny');
  });

  it('streams a tool call', async () => {
    const reply = streamText({
      model: provider()(served.model),
      tools,
      toolChoice: { type: 'tool', toolName: 'weather' },
      prompt: 'What is the weather in Paris?',
      maxRetries: 0,
      seed: 5,
    });
    const types = (await all(reply.fullStream)).map((part) => part.type);
    expect(types).toContain('tool-call');
    expect(await reply.finishReason).toBe('tool-calls');
  });
});
