import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import type { WireRequest } from '../../core/request.ts';
import { parseChatRequest } from './chat-request.ts';
import type { RequestLimits } from './limits.ts';

const wire: WireRequest = { dialect: 'openai', path: '/chat/completions', body: Buffer.from('{}') };
const user = { role: 'user', content: 'Hello' };
const weather = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } };
const search = { type: 'custom', custom: { name: 'search', description: 'Searches.' } };

function parse(fields: object, limits: Partial<RequestLimits> = {}) {
  return parseChatRequest({ model: 'm', messages: [user], ...fields }, wire, 'id-1', limits);
}

function refusal(fields: object, limits: Partial<RequestLimits> = {}): AppError {
  try {
    parse(fields, limits);
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    return error as AppError;
  }
  throw new Error(`accepted: ${JSON.stringify(fields).slice(0, 200)}`);
}

describe('defaults', () => {
  it('fills in every field of the core request, but what the model may have a default for', () => {
    expect(parse({})).toEqual({
      id: 'id-1',
      endpoint: 'chat',
      model: 'm',
      prompts: [
        {
          kind: 'chat',
          messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }], name: undefined }],
        },
      ],
      n: 1,
      sampling: {
        temperature: undefined,
        topP: undefined,
        topK: undefined,
        minP: undefined,
        typicalP: undefined,
        frequencyPenalty: 0,
        presencePenalty: 0,
        repetitionPenalty: undefined,
        logitBias: new Map(),
        seed: undefined,
      },
      stop: {
        maxTokens: undefined,
        minTokens: 0,
        strings: [],
        tokenIds: [],
        ignoreEos: false,
        includeStopString: false,
      },
      tools: [],
      toolChoice: 'none',
      parallelToolCalls: true,
      structure: undefined,
      templateVariables: {},
      topLogprobs: undefined,
      echo: false,
      stream: false,
      includeUsage: false,
      requirements: [],
      wire,
    });
  });

  it('takes null for absent in every optional field', () => {
    const names = [
      ...[
        'n',
        'stream',
        'stream_options',
        'temperature',
        'top_p',
        'top_k',
        'min_p',
        'typical_p',
        'frequency_penalty',
      ],
      ...[
        'presence_penalty',
        'repetition_penalty',
        'logit_bias',
        'seed',
        'stop',
        'stop_token_ids',
        'min_tokens',
        'cache_salt',
      ],
      ...['ignore_eos', 'include_stop_str_in_output', 'response_format', 'structured_outputs', 'guided_json'],
      ...['guided_regex', 'guided_choice', 'guided_grammar', 'guided_json_object', 'tools', 'tool_choice'],
      ...['functions', 'function_call', 'max_tokens', 'max_completion_tokens', 'logprobs', 'top_logprobs'],
      ...[
        'modalities',
        'reasoning_effort',
        'chat_template',
        'chat_template_kwargs',
        'user',
        'metadata',
        'store',
      ],
    ];
    expect(parse(Object.fromEntries(names.map((name) => [name, null])))).toEqual(parse({}));
  });

  it('accepts what it does not read, known or not', () => {
    const unread = {
      user: 'u',
      safety_identifier: 's',
      prompt_cache_key: 'k',
      service_tier: 'auto',
      prediction: { type: 'content', content: 'x' },
      modalities: ['text'],
      store: true,
      metadata: { a: 'b' },
      verbosity: 'low',
      priority: 3,
      stream_options: { include_obfuscation: false },
      client_metadata: { anything: [1] },
    };
    expect(parse(unread)).toEqual(parse({}));
  });
});

describe('generation', () => {
  it('maps sampling and stop rules, vLLM extras among them', () => {
    const request = parse({
      temperature: 0,
      top_p: 0.5,
      top_k: 40,
      min_p: 0.1,
      typical_p: 0.6,
      frequency_penalty: -2,
      presence_penalty: 2,
      repetition_penalty: 1.1,
      logit_bias: { '5': -100, '7': 3.5 },
      // The lowest int64, as some clients send it.
      seed: -(2 ** 63),
      max_completion_tokens: 9,
      max_tokens: 5,
      min_tokens: 2,
      stop: ['a', 'b'],
      stop_token_ids: [1, 2],
      ignore_eos: true,
      include_stop_str_in_output: true,
      cache_salt: 'tenant 1',
      n: 16,
    });
    expect(request.sampling).toEqual({
      temperature: 0,
      topP: 0.5,
      topK: 40,
      minP: 0.1,
      typicalP: 0.6,
      frequencyPenalty: -2,
      presencePenalty: 2,
      repetitionPenalty: 1.1,
      logitBias: new Map([
        [5, -100],
        [7, 3.5],
      ]),
      seed: -(2 ** 63),
    });
    expect(request.stop).toEqual({
      maxTokens: 9,
      minTokens: 2,
      strings: ['a', 'b'],
      tokenIds: [1, 2],
      ignoreEos: true,
      includeStopString: true,
    });
    expect(request.n).toBe(16);
    expect(request.cacheSalt).toBe('tenant 1');
  });

  it('still takes the old max_tokens, a single stop string, and -1 as "no top_k"', () => {
    const request = parse({ max_tokens: 5, stop: 'x', top_k: -1 });
    expect(request.stop).toMatchObject({ maxTokens: 5, strings: ['x'] });
    expect(request.sampling.topK).toBe(0);
  });

  it('asks for log-probabilities with 0 alternatives unless told how many', () => {
    expect(parse({ logprobs: true }).topLogprobs).toBe(0);
    expect(parse({ logprobs: true, top_logprobs: 20 }).topLogprobs).toBe(20);
    expect(parse({ logprobs: false }).topLogprobs).toBeUndefined();
  });

  it('hands template variables on, with reasoning_effort among them', () => {
    const variables = { enable_thinking: false };
    expect(parse({ reasoning_effort: 'low', chat_template_kwargs: variables }).templateVariables).toEqual({
      reasoning_effort: 'low',
      enable_thinking: false,
    });
  });

  it('asks for a usage chunk only where the client did', () => {
    expect(parse({ stream: true, stream_options: { include_usage: true } })).toMatchObject({
      stream: true,
      includeUsage: true,
    });
    expect(parse({ stream: true, stream_options: {} }).includeUsage).toBe(false);
  });
});

describe('messages', () => {
  it('maps every role and kind of content', () => {
    const [prompt] = parse({
      messages: [
        { role: 'system', content: 's', name: 'n' },
        { role: 'developer', content: [{ type: 'text', text: 'd' }] },
        { role: 'user', content: [] },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', content: 'r', tool_call_id: 'c1' },
        {
          role: 'assistant',
          tool_calls: [{ id: 'c2', type: 'custom', custom: { name: 'g', input: 'free' } }],
        },
        { role: 'assistant', refusal: 'no', content: null },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'never' }] },
        { role: 'assistant', content: null, function_call: { name: 'old', arguments: '[]' } },
        { role: 'function', name: 'old', content: '1' },
      ],
    }).prompts;
    const text = (value: string) => [{ type: 'text', text: value }];
    expect(prompt).toEqual({
      kind: 'chat',
      messages: [
        { role: 'system', content: text('s'), name: 'n' },
        { role: 'developer', content: text('d') },
        { role: 'user', content: [] },
        { role: 'assistant', content: [], toolCalls: [{ id: 'c1', name: 'f', arguments: '{}' }] },
        { role: 'tool', content: text('r'), toolCallId: 'c1' },
        { role: 'assistant', content: [], toolCalls: [{ id: 'c2', name: 'g', arguments: 'free' }] },
        { role: 'assistant', content: text('no') },
        { role: 'assistant', content: text('never') },
        { role: 'assistant', content: [], toolCalls: [{ id: 'old', name: 'old', arguments: '[]' }] },
        { role: 'tool', content: text('1'), name: 'old', toolCallId: 'old' },
      ],
    });
  });

  it('requires what the content needs, naming the first part that asked', () => {
    const request = parse({
      messages: [
        user,
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: 'https://x/y.png', detail: 'low' } },
            { type: 'image_url', image_url: 'https://x/z.png' },
            { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } },
            { type: 'file', file: { file_id: 'f' } },
          ],
        },
      ],
    });
    expect(request.requirements).toEqual([
      { capability: 'image', param: 'messages[1].content[1]' },
      { capability: 'audio', param: 'messages[1].content[3]' },
      { capability: 'file', param: 'messages[1].content[4]' },
    ]);
    expect(request.prompts[0]).toMatchObject({
      messages: [
        {},
        {
          content: [
            { type: 'text', text: 'look' },
            { type: 'image', url: 'https://x/y.png', detail: 'low' },
            { type: 'image', url: 'https://x/z.png' },
            { type: 'audio', data: 'AA==', format: 'wav' },
            { type: 'file', data: { file_id: 'f' } },
          ],
        },
      ],
    });
  });
});

describe('tools', () => {
  const required = { capability: 'tools', param: 'tools' };

  it('maps functions and custom tools and requires a model that can call them', () => {
    const request = parse({ tools: [weather, search] });
    expect(request.tools).toEqual([
      { name: 'weather', description: undefined, parameters: { type: 'object' } },
      { name: 'search', description: 'Searches.' },
    ]);
    expect(request.toolChoice).toBe('auto');
    expect(request.requirements).toEqual([required]);
  });

  it.each([
    ['none', 'none', []],
    ['auto', 'auto', [required]],
    ['required', 'required', [required]],
    [{ type: 'function', function: { name: 'weather' } }, { name: 'weather' }, [required]],
    [{ type: 'custom', custom: { name: 'search' } }, { name: 'search' }, [required]],
  ])('maps tool_choice %j', (choice, mapped, requirements) => {
    const request = parse({ tools: [weather, search], tool_choice: choice });
    expect(request.toolChoice).toEqual(mapped);
    expect(request.requirements).toEqual(requirements);
  });

  it('narrows the tools to allowed_tools', () => {
    const request = parse({
      tools: [weather, search],
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'custom', custom: { name: 'search' } }] },
      },
    });
    expect(request.tools.map((tool) => tool.name)).toEqual(['search']);
    expect(request.toolChoice).toBe('required');
  });

  it('takes the old functions and function_call', () => {
    const request = parse({ functions: [{ name: 'f' }], function_call: { name: 'f' } });
    expect(request.tools).toEqual([{ name: 'f' }]);
    expect(request.toolChoice).toEqual({ name: 'f' });
    expect(request.requirements).toEqual([{ capability: 'tools', param: 'functions' }]);
  });

  it('needs no tools for an empty list or a choice of none', () => {
    expect(parse({ tools: [], tool_choice: 'auto' })).toMatchObject({ toolChoice: 'none', requirements: [] });
  });
});

describe('structured output', () => {
  it.each([
    ['response_format', { type: 'json_object' }],
    ['response_format', { type: 'json_schema', json_schema: { name: 'n', schema: {}, strict: true } }],
    ['structured_outputs', { regex: 'a+' }],
    ['guided_json', { type: 'object' }],
    ['guided_regex', 'a+'],
    ['guided_choice', ['a']],
    ['guided_grammar', 'root ::= "a"'],
    ['guided_json_object', true],
  ])('is required by %s', (name, value) => {
    expect(parse({ [name]: value }).requirements).toEqual([{ capability: 'structured-output', param: name }]);
  });

  it('is not required by a response format of text', () => {
    expect(parse({ response_format: { type: 'text' } }).requirements).toEqual([]);
  });

  it('does not stand in for audio that was asked for', () => {
    expect(parse({ modalities: ['text', 'audio'] }).requirements).toEqual([
      { capability: 'audio', param: 'modalities' },
    ]);
  });
});

describe('refusals name the field, the problem and what is allowed', () => {
  const call = (fields: object) => [{ role: 'assistant', tool_calls: [{ id: 'x', ...fields }] }];
  it.each<[string, object, RegExp]>([
    ['model', { model: undefined }, /required/],
    ['model', { model: '' }, /not be empty/],
    ['messages', { messages: undefined }, /required and must be an array/],
    ['messages', { messages: [] }, /not be empty/],
    ['messages', { messages: 'hi' }, /must be an array, but is "hi"/],
    ['messages', { messages: new Array(4_097).fill(0) }, /at most 4096/],
    ['messages[0]', { messages: [5] }, /must be an object, but is 5/],
    [
      'messages[0].role',
      { messages: [{ role: 'robot', content: '' }] },
      /"system", .* or "function", but is "robot"/,
    ],
    ['messages[0].content', { messages: [{ role: 'user' }] }, /required/],
    [
      'messages[0].content',
      { messages: [{ role: 'user', content: null }] },
      /string or an array, but is null/,
    ],
    ['messages[0].content[0].type', { messages: [{ role: 'user', content: [{ type: 'smell' }] }] }, /"text"/],
    [
      'messages[1].content[0].text',
      { messages: [user, { role: 'user', content: [{ type: 'text' }] }] },
      /required/,
    ],
    [
      'messages[0].content[0].image_url.url',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 1 } }] }] },
      /string/,
    ],
    [
      'messages[0].content',
      { messages: [{ role: 'user', content: new Array(1_025).fill(0) }] },
      /at most 1024/,
    ],
    ['messages[0].tool_call_id', { messages: [{ role: 'tool', content: '' }] }, /required/],
    [
      'messages[0].tool_calls[0].function.arguments',
      { messages: call({ type: 'function', function: { name: 'f', arguments: {} } }) },
      /string/,
    ],
    ['temperature', { temperature: 2.1 }, /at most 2, but is 2.1/],
    ['temperature', { temperature: '1' }, /must be a number, but is "1"/],
    ['temperature', { temperature: Number.POSITIVE_INFINITY }, /number/],
    ['top_p', { top_p: 0 }, /greater than 0/],
    ['top_p', { top_p: 1.1 }, /at most 1/],
    ['top_k', { top_k: -2 }, /at least -1/],
    ['min_p', { min_p: 2 }, /at most 1/],
    ['typical_p', { typical_p: 0 }, /greater than 0|above 0|more than 0/],
    ['frequency_penalty', { frequency_penalty: -3 }, /at least -2/],
    ['presence_penalty', { presence_penalty: 3 }, /at most 2/],
    ['repetition_penalty', { repetition_penalty: 0 }, /greater than 0/],
    ['n', { n: 17 }, /at most 16/],
    ['n', { n: 0 }, /at least 1/],
    ['n', { n: 1.5 }, /integer/],
    ['seed', { seed: 0.5 }, /integer/],
    ['max_tokens', { max_tokens: 0 }, /at least 1/],
    ['max_completion_tokens', { max_completion_tokens: -1 }, /at least 1/],
    ['best_of', { best_of: 3, n: 2 }, /equal to `n`, which is 2/],
    ['min_tokens', { min_tokens: 5, max_tokens: 4 }, /at most max_tokens, which is 4/],
    ['stop', { stop: ['a', 'b', 'c', 'd', 'e'] }, /at most 4/],
    ['stop', { stop: '' }, /empty/],
    ['stop[1]', { stop: ['a', ''] }, /empty/],
    ['stop[0]', { stop: ['x'.repeat(1_001)] }, /at most 1000 characters/],
    ['stop_token_ids', { stop_token_ids: new Array(65).fill(1) }, /at most 64/],
    ['stop_token_ids[0]', { stop_token_ids: [-1] }, /at least 0/],
    ['logit_bias', { logit_bias: { cat: 1 } }, /token ids as keys, but has "cat"/],
    ['logit_bias', { logit_bias: { '99999999999': 1 } }, /token ids as keys/],
    ['logit_bias', { logit_bias: [1] }, /object/],
    ['logit_bias.5', { logit_bias: { '5': 101 } }, /-100 to 100/],
    [
      'logit_bias',
      { logit_bias: Object.fromEntries(Array.from({ length: 1_025 }, (_, i) => [i, 0])) },
      /at most 1024/,
    ],
    ['top_logprobs', { top_logprobs: 3 }, /needs `logprobs`/],
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }, /at most 20/],
    ['logprobs', { logprobs: 5 }, /boolean/],
    ['tools', { tools: new Array(129).fill(weather) }, /at most 128/],
    ['tools[0].type', { tools: [{ type: 'web_search' }] }, /"function" or "custom"/],
    ['tools[0].function.name', { tools: [{ type: 'function', function: {} }] }, /required/],
    ['tool_choice', { tools: [weather], tool_choice: 'maybe' }, /"none", "auto" or "required"/],
    ['tool_choice', { tool_choice: 'required' }, /no tools/],
    [
      'tool_choice',
      { tools: [weather], tool_choice: { type: 'function', function: { name: 'x' } } },
      /not among/,
    ],
    ['function_call', { functions: [{ name: 'f' }], function_call: { name: 'g' } }, /not among/],
    ['response_format.type', { response_format: { type: 'xml' } }, /"json_schema"/],
    [
      'response_format.json_schema.name',
      { response_format: { type: 'json_schema', json_schema: {} } },
      /required/,
    ],
    ['chat_template', { chat_template: '{{ x }}' }, /template of the model/],
    [
      'chat_template_kwargs.chat_template',
      { chat_template_kwargs: { chat_template: 'x' } },
      /template of the model/,
    ],
    ['stream', { stream: 'yes' }, /boolean/],
    ['tools', { tools: [nested(80)] }, /nested deeper than 64/],
    ['unknown_field', { unknown_field: nested(80) }, /nested deeper than 64/],
  ])('%s %#', (param, fields, message) => {
    const error = refusal(fields);
    expect(error.status).toBe(400);
    expect(error.param).toBe(param);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(param.startsWith('chat_template') ? 'template' : param);
  });

  it('holds the limits it is given', () => {
    expect(refusal({ n: 3 }, { n: 2 }).message).toMatch(/at most 2/);
  });

  it('never repeats long or unprintable input', () => {
    const { message } = refusal({ temperature: `\u0000\u001b[31m${'x'.repeat(10_000)}` });
    expect(message.length).toBeLessThan(300);
    expect(message).not.toMatch(/\p{Cc}/u);
  });
});

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? { type: value } : [value];
  return value;
}
