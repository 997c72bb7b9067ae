import { describe, expect, it, vi } from 'vitest';
import { recordings } from '../../../test/recorded/recordings.ts';
import { WholeTap } from './whole-tap.ts';

function tapOf(
  text: string | Buffer,
  pieceBytes = 10,
  isGeneration = true,
): { tap: WholeTap; failure: ReturnType<WholeTap['end']> } {
  const bytes = Buffer.from(text);
  const tap = new WholeTap(() => 0, { isGeneration });
  for (let at = 0; at < bytes.length; at += pieceBytes) tap.push(bytes.subarray(at, at + pieceBytes));
  return { tap, failure: tap.end() };
}

describe('WholeTap', () => {
  it.each(recordings().filter(({ stream, status }) => !stream && status === 200))(
    'reads $name',
    ({ bytes }) => {
      const reply = JSON.parse(bytes.toString());
      const { tap, failure } = tapOf(bytes);
      expect(failure).toBeUndefined();
      expect(tap.observation.usage).toMatchObject({
        promptTokens: reply.usage.prompt_tokens,
        completionTokens: reply.usage.completion_tokens,
      });
      expect(tap.observation.finishReasons).toHaveLength(reply.choices.length);
      expect(tap.observation.firstTokenAtMs).toBe(0);
    },
  );

  it('finds the usage at the end of a reply too large to keep', () => {
    const text = '"usage":{"prompt_tokens":1}'.repeat(150_000);
    const reply = {
      choices: [{ message: { content: text } }],
      usage: { prompt_tokens: 7, completion_tokens: 9 },
    };
    const { tap, failure } = tapOf(JSON.stringify({ ...reply, metrics: null }), 65_536);
    expect(failure).toBeUndefined();
    expect(tap.observation.usage).toMatchObject({ promptTokens: 7, completionTokens: 9 });
  });

  it('finds it there also where its keys have escapes', () => {
    const choices = [{ message: { content: 'says "us\\u0061ge":{"prompt_tokens":1} '.repeat(50_000) } }];
    const usage = '{"prompt\\u005ftokens":7,"completion_tokens":9}';
    const text = JSON.stringify({ choices }).replace(/}$/, `,"us\\u0061\\u0067e" : ${usage}}`);
    const { tap, failure } = tapOf(text, 65_536);
    expect(failure).toBeUndefined();
    expect(tap.observation.usage).toMatchObject({ promptTokens: 7, completionTokens: 9 });
  });

  it.each([65_536, 100_003, 4_000_000])(
    'counts the choices of such a reply, wherever it is cut (%d)',
    (pieceBytes) => {
      const talk = 'says "finish_reason":"stop" '.repeat(30_000);
      const choices = ['stop', 'length', 'tool_calls'].map((finish_reason, index) => ({
        index,
        message: { content: talk },
        logprobs: null,
        finish_reason,
      }));
      const { tap } = tapOf(
        JSON.stringify({ choices, usage: { prompt_tokens: 7, completion_tokens: 9 } }),
        pieceBytes,
      );
      expect(tap.observation.finishReasons).toEqual(['stop', 'length', 'tool-calls']);
      expect(tap.observation.contentEvents).toBe(3);
      expect(tap.observation.usage?.completionTokens).toBe(9);
    },
  );

  const long = 'word '.repeat(600_000);

  it('finds the usage wherever it stands in such a reply, with spaces or without', () => {
    const choices = [{ message: { content: long }, finish_reason: 'stop' }];
    const usage = { prompt_tokens: 7, completion_tokens: 9 };
    const first = new WholeTap(() => 0, { isGeneration: true });
    first.push(Buffer.from(JSON.stringify({ usage, choices }).slice(0, 100_000)));
    expect(first.readBeginning()).toBeUndefined();
    expect(first.observation.usage).toMatchObject({ promptTokens: 7, completionTokens: 9 });
    const { tap } = tapOf(
      JSON.stringify({ choices, usage }, null, 1).replace('"usage":', '"usage" :'),
      65_536,
    );
    expect(tap.observation.usage).toMatchObject({ promptTokens: 7, completionTokens: 9 });
  });

  it('refuses such a reply where its end is missing, or something comes after it', () => {
    const reply = JSON.stringify({ choices: [{ message: { content: long }, finish_reason: 'stop' }] });
    expect(tapOf(`${reply}\n`, 65_536).failure).toBeUndefined();
    for (const text of [reply.slice(0, -1), reply.slice(0, 2_000_000), `${reply}{}`])
      expect(tapOf(text, 65_536).failure).toMatchObject({ code: 'upstream_error' });
  });

  it('counts what such a reply may have where it does not say', () => {
    const choices = [{ message: { content: long }, finish_reason: 'stop' }];
    expect(tapOf(JSON.stringify({ choices }), 65_536).tap.observation.contentEvents).toBeGreaterThan(750_000);
    const data = [{ embedding: new Array(400_000).fill(0.25) }];
    expect(tapOf(JSON.stringify({ data }), 65_536, false).tap.observation.contentEvents).toBe(0);
  });

  it.each([
    `{"error":{"message":"${long}"}}`,
    `{"object":"error","message":"${long}"}`,
    `{"object":"\\u0065rr\\u006Fr","message":"${long}"}`,
    `{"detail":"${long}"}`,
    `{"code":500,"message":"${long}"}`,
  ])('knows an error by its beginning', (text) => {
    const tap = new WholeTap(() => 0, { isGeneration: true });
    tap.push(Buffer.from(text.slice(0, 65_536)));
    expect(tap.readBeginning()).toMatchObject({ code: 'upstream_error' });
  });

  it('reads a reply with numbers that JSON does not have', () => {
    const reply =
      '{"choices":[{"message":{"content":"NaN"},"logprobs":[NaN,-Infinity],"finish_reason":"stop"}]}';
    const { tap, failure } = tapOf(reply);
    expect(failure).toBeUndefined();
    expect(tap.observation).toMatchObject({ contentEvents: 1, finishReasons: ['stop'] });
    expect(tap.mended?.toString()).toBe(reply.replace('[NaN,-Infinity]', '[null,null]'));
    expect(tapOf(reply.slice(0, -1)).failure?.code).toBe('upstream_error');
  });

  it.each(['null', 'false', '""', '0'])(
    'takes a reply for one whose error is %s, also a long one',
    (error) => {
      const reply = `{"error":${error},"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`;
      expect(tapOf(reply).failure).toBeUndefined();
      const { tap } = tapOf(reply.replace('"a"', JSON.stringify('a'.repeat(100_000))));
      expect(tap.observation.finishReasons).toEqual(['stop']);
      const begun = new WholeTap(() => 0, { isGeneration: true });
      begun.push(Buffer.from(reply));
      expect(begun.readBeginning()).toBeUndefined();
    },
  );

  it('believes nobody who writes and says that it wrote nothing', () => {
    const choices = [{ message: { content: 'word '.repeat(50) }, finish_reason: 'stop' }];
    for (const usage of [{ prompt_tokens: 10 }, { prompt_tokens: 10, completion_tokens: 0 }]) {
      const { tap } = tapOf(JSON.stringify({ choices, usage }));
      expect(tap.observation.contentEvents).toBe(63);
      expect(tap.observation.usage).toMatchObject({ promptTokens: 10, completionTokens: 0 });
    }
  });

  it.each([
    ['more than a number can be', { prompt_tokens: 10, completion_tokens: 1e300 }],
    ['less than nothing', { prompt_tokens: 10, completion_tokens: -3 }],
    ['a fraction', { prompt_tokens: 10, completion_tokens: 62.5 }],
    ['more tokens than bytes', { prompt_tokens: 10, completion_tokens: 20_000 }],
    ['more of a prompt than a number can be', { prompt_tokens: 2 ** 53, completion_tokens: 3 }],
  ])('counts the text where its server says %s', (_, usage) => {
    const choices = [{ message: { content: 'word '.repeat(50) }, finish_reason: 'stop' }];
    expect(tapOf(JSON.stringify({ choices, usage })).tap.observation.contentEvents).toBe(63);
  });

  it('does not read a long reply closely whose usage may be true', () => {
    const choices = [{ message: { content: 'word '.repeat(20_000) }, finish_reason: 'stop' }];
    const text = JSON.stringify({ choices, usage: { prompt_tokens: 10, completion_tokens: 60 } });
    const parse = vi.spyOn(JSON, 'parse');
    const { tap } = tapOf(text, 10_000);
    expect(parse).not.toHaveBeenCalled();
    parse.mockRestore();
    expect(tap.observation.usage?.completionTokens).toBe(60);
    expect(tap.observation.replyBytes).toBe(text.length);
  });

  const USAGE = '"usage":{"prompt_tokens":10,"completion_tokens":3}';
  it.each([
    '{}',
    '{"detail":"secret"}',
    '{"message":"secret","code":500}',
    '{"type":"error","message":"secret"}',
    '{"errors":["secret"]}',
    '{"status":500,"title":"secret"}',
    '{"choices":[]}',
    '{"choices":null}',
    `{"choices":[ ],${USAGE}}`,
    `{"choices":{},${USAGE}}`,
    `{${USAGE}}`,
    `{"choices":[{"message":{"content":"a"},"finish_reason":"error","error":{"message":"secret"}}],${USAGE}}`,
    `{"detail":"secret",${USAGE}}`,
    `{"choices":[{"message":{"content":null},"finish_reason":"error","error":{"message":"secret"}}]}`,
  ])('takes no generation from what has no choices: %s', (text) => {
    expect(tapOf(text).failure).toMatchObject({ code: 'upstream_error', retryable: true });
  });

  it('asks for no choices where a text is only read', () => {
    const data = '[{"embedding":[0.5]}]';
    for (const text of [`{"data":${data},"usage":{"prompt_tokens":9}}`, `{"results":${data},"message":"ok"}`])
      expect(tapOf(text, 10, false).failure).toBeUndefined();
    for (const text of ['{"detail":"secret"}', '{}', '{"data":null}', '{"usage":{"prompt_tokens":9}}'])
      expect(tapOf(text, 10, false).failure?.code).toBe('upstream_error');
  });

  it.each([
    ['tells a sum alone', { total_tokens: 9 }, 9],
    ['says that there were no tokens', { prompt_tokens: 0, total_tokens: 0 }, undefined],
  ])('knows what was read where a server %s, however long its reply', (_name, usage, promptTokens) => {
    for (const numbers of [1, 300_000]) {
      const text = JSON.stringify({ data: [{ embedding: Array(numbers).fill(0.5) }], usage });
      expect(tapOf(text, 65_536, false).tap.observation.usage?.promptTokens).toBe(promptTokens);
    }
  });

  const COUNTED = { promptTokens: 4, completionTokens: 2, cachedPromptTokens: 0, reasoningTokens: 0 };
  it.each([
    ['words', true, '{"prompt_tokens":"9","completion_tokens":"7"}'],
    ['nothing', true, '{}'],
    ['no object', true, '-1'],
    ['no tokens of a text that was read', false, '{"prompt_tokens":0,"total_tokens":0}'],
  ])('delivers what counts where a usage is %s', (_name, isGeneration, usage) => {
    const results = isGeneration
      ? '"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]'
      : '"data":[{"embedding":[0.5]}]';
    const tap = new WholeTap(() => 0, { isGeneration, judge: { instead: () => COUNTED } });
    tap.push(Buffer.from(`{${results},"usage":${usage}}`));
    expect(tap.end()).toBeUndefined();
    const told = JSON.parse(tap.mended!.toString()).usage;
    expect(told).toMatchObject(
      isGeneration ? { prompt_tokens: 4, completion_tokens: 2 } : { prompt_tokens: 4, total_tokens: 4 },
    );
  });

  it('leaves what else was counted of a text that was read', () => {
    const tap = new WholeTap(() => 0, { isGeneration: false, judge: { instead: () => COUNTED } });
    tap.push(Buffer.from('{"results":[{"index":0}],"usage":{"search_units":1,"total_tokens":-1}}'));
    tap.end();
    const usage = { search_units: 1, prompt_tokens: 4, total_tokens: 4 };
    expect(JSON.parse(tap.mended!.toString()).usage).toEqual(usage);
  });

  it('delivers a reply as it is that tells of no usage', () => {
    for (const said of ['', ',"usage":null']) {
      const tap = new WholeTap(() => 0, { isGeneration: true, judge: { instead: () => COUNTED } });
      tap.push(Buffer.from(`{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]${said}}`));
      expect(tap.end()).toBeUndefined();
      expect(tap.mended).toBeUndefined();
    }
  });

  it('takes a reply that goes deeper than skimming does', () => {
    const depth = 200;
    const deep = `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const choices = '[{"message":{"content":"Hi"},"finish_reason":"stop"}]';
    const { tap, failure } = tapOf(`{"meta":${deep},"choices":${choices},${USAGE}}`);
    expect(failure).toBeUndefined();
    expect(tap.observation).toMatchObject({ finishReasons: ['stop'], usage: { completionTokens: 3 } });
    expect(tapOf(`{"meta":${deep},"error":"secret"}`).failure?.code).toBe('upstream_error');
  });

  it('takes what is no object for no reply, before anything of it is delivered', () => {
    for (const text of ['[', '<html>', '\n "', '[{"error":{"message":"secret"}}'].map(
      (start) => start + long,
    )) {
      const tap = new WholeTap(() => 0, { isGeneration: false });
      tap.push(Buffer.from(text.slice(0, 65_536)));
      expect(tap.readBeginning()).toMatchObject({ code: 'upstream_error' });
    }
    for (const text of ['[]', 'null', '7', '"text"'])
      expect(tapOf(text, 10, false).failure?.code).toBe('upstream_error');
  });

  it.each([
    '{"choices":[',
    '',
    'null x',
    '{} {}',
    `{"choices":[{"message":{"content":"a","x":oops},"finish_reason":"stop"}],${USAGE}}`,
    `{"choices":[{"message":{"content":"a\n"},"finish_reason":"stop"}],${USAGE}}`,
    `{"choices":[{"message":{"content":"a"},,"finish_reason":"stop"}],${USAGE}}`,
  ])('refuses what is not complete JSON: %j', (text) => {
    expect(tapOf(text).failure?.code).toBe('upstream_error');
  });

  it('makes UTF-8 of what is none', () => {
    const text = `{"choices":[{"message":{"content":"é=b"},"finish_reason":"stop"}],${USAGE}}`;
    const bytes = Buffer.from(text);
    expect(tapOf(bytes).tap.mended).toBeUndefined();
    bytes[bytes.indexOf('=')] = 0xff;
    expect(tapOf(bytes).tap.mended?.toString('latin1')).toBe(
      Buffer.from(text.replace('=', '\ufffd')).toString('latin1'),
    );
  });

  it('takes an error with status 200 for what it is', () => {
    expect(tapOf('{"error":{"message":"secret"}}').failure).toMatchObject({
      code: 'upstream_error',
      message: 'The model server failed.',
    });
  });

  it('takes a long reply with choices for one, whatever else it says before them', () => {
    const content = 'w '.repeat(40_000);
    const tap = new WholeTap(() => 0, { isGeneration: true });
    tap.push(
      Buffer.from(JSON.stringify({ message: 'ok', choices: [{ message: { content } }] })).subarray(0, 70_000),
    );
    expect(tap.readBeginning()).toBeUndefined();
  });

  it.each(['"chat.compl\\u0065tion"', 'null', '{}', '7', `"${'x'.repeat(100)}"`, '"errors"'])(
    'takes a long reply for one that says that it is %s',
    (object) => {
      const text = `{"object":${object},"choices":[{"message":{"content":"${long}"},"finish_reason":"stop"}]}`;
      const tap = new WholeTap(() => 0, { isGeneration: true });
      tap.push(Buffer.from(text.slice(0, 70_000)));
      expect(tap.readBeginning()).toBeUndefined();
    },
  );
});
