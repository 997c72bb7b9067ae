import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import { BodyKeys } from './body-keys.ts';
import { type SpliceOptions, spliceBody } from './splice.ts';

const splice = (text: string, forceUsage = false, model = 'up/stream', more: Partial<SpliceOptions> = {}) =>
  Buffer.concat(spliceBody(Buffer.from(text), { model, forceUsage, ...more })).toString();

describe('spliceBody', () => {
  it('does not copy a long body', () => {
    const body = Buffer.from(JSON.stringify({ model: 'pub', messages: 'x'.repeat(100_000) }));
    const spliced = spliceBody(body, { model: 'up/stream', forceUsage: false });
    expect(spliced.at(-1)!.length).toBeGreaterThan(100_000);
    expect(spliced.at(-1)!.buffer).toBe(body.buffer);
    expect(Buffer.concat(spliced).toString()).toBe(body.toString().replace('pub', 'up/stream'));
  });

  it('replaces the model and leaves every other byte', () => {
    expect(
      splice('{ "messages" : [ {"role":"user","content":"hi"} ] ,\n "model" : "pub" , "n":1.0e0 }'),
    ).toBe('{ "messages" : [ {"role":"user","content":"hi"} ] ,\n "model" : "up/stream" , "n":1.0e0 }');
  });

  it('does not touch a model inside messages, strings or nested objects', () => {
    const inside =
      '"messages":[{"content":"\\"model\\":\\"x\\"","model":"keep"}],"metadata":{"model":"keep"}';
    expect(splice(`{${inside},"model":"a"}`)).toBe(`{${inside},"model":"up/stream"}`);
  });

  it('replaces every duplicate, whichever one a parser would take', () => {
    expect(splice('{"model":"a","x":1,"model":"b"}')).toBe('{"model":"up/stream","x":1,"model":"up/stream"}');
  });

  it('sees through the escapes of a key', () => {
    expect(splice('{"model":"a","mod\\u0065l":"evil","\\"":1.0}')).toBe(
      '{"model":"up/stream","mod\\u0065l":"up/stream","\\"":1.0}',
    );
    expect(splice('{"stream_options":{"include\\u005fusage":false}}', true, 'M')).toBe(
      '{"model":"M","stream_options":{"include\\u005fusage":true}}',
    );
    expect(() => splice('{"\\u006e":1,"n":2}')).toThrow(expect.objectContaining({ param: 'n' }));
    expect(() => splice('{"mod\\x65l":"evil"}')).toThrow(expect.objectContaining({ code: 'invalid_json' }));
    expect(JSON.parse(splice('{"stream\\u005foptions":{"x":1},"model":"a"}', true))).toEqual({
      model: 'up/stream',
      stream_options: { x: 1, include_usage: true },
    });
  });

  it.each([
    ['{"model":"a"}', '{"stream_options":{"include_usage":true},"model":"M"}'],
    ['{"model":"a","stream_options":null}', '{"model":"M","stream_options":{"include_usage":true}}'],
    ['{"model":"a","stream_options":7}', '{"model":"M","stream_options":{"include_usage":true}}'],
    ['{"model":"a","stream_options":{}}', '{"model":"M","stream_options":{"include_usage":true}}'],
    [
      '{"stream_options":{ "include_usage" : false , "o":[{}]},"model":"a"}',
      '{"stream_options":{ "include_usage" : true , "o":[{}]},"model":"M"}',
    ],
    [
      '{"stream_options":{"other":"}"},"model":"a"}',
      '{"stream_options":{"include_usage":true,"other":"}"},"model":"M"}',
    ],
    ['{}', '{"model":"M","stream_options":{"include_usage":true}}'],
  ])('forces usage: %s', (given, wanted) => {
    expect(splice(given, true, 'M')).toBe(wanted);
  });

  it('leaves stream_options alone when usage is not forced', () => {
    expect(splice('{"stream_options":null,"model":"a"}')).toBe('{"stream_options":null,"model":"up/stream"}');
  });

  it.each([
    '',
    '[]',
    '"model"',
    '{',
    '{"model"',
    '{"model":',
    '{"model":"a',
    '{"a":[1',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{a:1}',
  ])('refuses what is not an object: %s', (text) => {
    expect(() => splice(text)).toThrow(AppError);
  });

  it('agrees with JSON.parse on any object, however it is written', () => {
    const key = fc.oneof(
      fc.constantFrom('model', 'stream_options', 'content', 'a', '__proto__', 'priority', 'rid'),
      // Neither like a field of ours nor one of those that may be there once.
      fc.string({ maxLength: 60 }).map((any) => (/^(?:n|rid)$/i.test(any) ? '' : any)),
    );
    const inner = fc.dictionary(fc.constantFrom('include_usage', 'x', 'y"', '\\'), fc.jsonValue());
    const member = fc.tuple(
      key,
      fc.oneof(fc.jsonValue(), inner, fc.string({ unit: 'binary', maxLength: 300 })),
    );
    const space = fc.constantFrom('', ' ', '\n\t', '\r\n');
    fc.assert(
      fc.property(fc.array(member, { maxLength: 8 }), space, space, fc.boolean(), (members, a, b, pretty) => {
        const withheld = ['priority', 'rid', 'cache_salt'];
        const keys = new BodyKeys(withheld);
        const written = members.map(
          ([name, value]) =>
            `${JSON.stringify(name)}${a}:${b}${JSON.stringify(value, null, pretty ? 2 : undefined)}`,
        );
        const text = `${a}{${b}${written.join(`${b},${a}`)}${a}}${b}`;
        const wanted = JSON.parse(text) as Record<string, unknown>;
        wanted.model = 'up/stream';
        const given = wanted.stream_options;
        const kept = typeof given === 'object' && given !== null && !Array.isArray(given) ? given : {};
        wanted.stream_options = { ...kept, include_usage: true };
        expect(JSON.parse(splice(text, true))).toEqual(wanted);
        for (const key of withheld) delete wanted[key];
        expect(JSON.parse(splice(text, true, 'up/stream', { keys }))).toEqual(wanted);
        const salted = JSON.parse(splice(text, true, 'up/stream', { keys, tenant: 't' }));
        expect(salted).toEqual({ ...wanted, cache_salt: expect.stringMatching(/^[\w-]{43}$/) });
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ['{"priority":-9,"model":"a"}', '{"model":"M"}'],
    ['{"model":"a","priority":-9}', '{"model":"M"}'],
    ['{ "rid" : "x" , "priority" : -9 ,"model":"a","n":1}', '{"model":"M","n":1}'],
    ['{"rid":"x","model":"a","priority":-9,"rid":"y","n":1}', '{"model":"M","n":1}'],
    ['{"rid":"x"}', '{"model":"M"}'],
    ['{"r\\u0069d":"x","model":"a"}', '{"model":"M"}'],
  ])('withholds what is not for the upstream: %s', (given, wanted) => {
    expect(splice(given, false, 'M', { keys: new BodyKeys(['priority', 'rid']) })).toBe(wanted);
  });

  it.each([
    // Go's parser folds case, of K (Kelvin) and ſ as well.
    ['{"model":"a","Model":"dear"}', 'Model'],
    ['{"model":"a","MODEL":"dear"}', 'MODEL'],
    ['{"Stream":true,"model":"a"}', 'Stream'],
    ['{"model":"a","\u017ftream":true}', '\u017ftream'],
    ['{"model":"a","max_tokens":1,"max_to\u212aens":777}', 'max_to\u212aens'],
    ['{"model":"a","Max_Completion_Tokens":777}', 'Max_Completion_Tokens'],
    ['{"model":"a","N":5}', 'N'],
    ['{"model":"a","Priority":-9}', 'Priority'],
    ['{"model":"a","N_Predict":9}', 'N_Predict'],
    ['{"model":"a","stream_options":{"Include_Usage":false}}', 'stream_options.Include_Usage'],
    // Written with escapes.
    ['{"model":"a","Mod\\u0065l":"dear"}', 'Model'],
    ['{"model":"a","\\u017ftream":true}', '\u017ftream'],
    ['{"model":"a","stream_options":{"Include\\u005fUsage":false}}', 'stream_options.Include_Usage'],
  ])('refuses a key that some servers take for one of ours: %s', (given, param) => {
    const keys = new BodyKeys(['priority']);
    expect(() => splice(given, true, 'M', { keys })).toThrow(
      expect.objectContaining({ code: 'invalid_value', status: 400, param }),
    );
  });

  it.each(['stream', 'n', 'best_of', 'messages', 'prompt'])(
    'refuses %s twice: servers differ in which they take',
    (key) => {
      expect(() => splice(`{"model":"a","${key}":1,"x":0,"${key}":17}`)).toThrow(
        expect.objectContaining({ code: 'invalid_value', param: key }),
      );
    },
  );

  it.each([
    // Two limits that say different things.
    [
      '{"max_completion_tokens":1,"max_tokens":20000,"model":"a"}',
      1,
      '{"max_completion_tokens":1,"max_tokens":1,"model":"M"}',
    ],
    ['{"max_tokens":9,"max_tokens":1,"model":"a"}', 1, '{"max_tokens":1,"max_tokens":1,"model":"M"}'],
    [
      '{"max_tokens":null,"max_completion_tokens":5,"model":"a"}',
      5,
      '{"max_tokens":5,"max_completion_tokens":5,"model":"M"}',
    ],
    ['{"max_tokens":1e1,"model":"a"}', 10, '{"max_tokens":10,"model":"M"}'],
    // In the words of llama.cpp, which would go first.
    ['{"max_tokens":1,"n_predict":20000,"model":"a","n_cmpl":9}', 1, '{"max_tokens":1,"model":"M"}'],
    ['{"max_tokens":null,"model":"a"}', undefined, '{"max_tokens":null,"model":"M"}'],
  ])('has every server read the limit that the request is taken for: %s', (given, maxTokens, wanted) => {
    expect(splice(given, false, 'M', { maxTokens })).toBe(wanted);
    const escaped = given.replace('"model"', '"mod\\u0065l"');
    expect(JSON.parse(splice(escaped, false, 'M', { maxTokens }))).toEqual(JSON.parse(wanted));
  });

  it.each([
    ['{"model":"a","max_tokens":null}', '{"model":"M","max_tokens":16}'],
    ['{"model":"a"}', '{"max_tokens":16,"model":"M"}'],
    ['{"model":"a","max_completion_tokens":99}', '{"max_tokens":16,"model":"M","max_completion_tokens":16}'],
  ])('tells a text completion how long it may become: %s', (given, wanted) => {
    const completion = { maxTokens: 16, isCompletion: true };
    expect(splice(given, false, 'M', completion)).toBe(wanted);
    const escaped = given.replace('"model"', '"mod\\u0065l"');
    expect(JSON.parse(splice(escaped, false, 'M', completion))).toEqual(JSON.parse(wanted));
  });

  it('gives each tenant a salt of its own, which one of the client becomes part of', () => {
    const salt = (tenant: string, own: string) =>
      JSON.parse(splice(`{"model":"a"${own}}`, false, 'M', { tenant })).cache_salt;
    const salts = [
      salt('a', ''),
      salt('b', ''),
      salt('a', ',"cache_salt":"x"'),
      salt('b', ',"cache_salt":"x"'),
      salt('a', ',"cache_salt":"b"'),
    ];
    expect(new Set(salts).size).toBe(salts.length);
    expect(salt('a', ',"cache_s\\u0061lt":"x"')).toBe(salts[2]);
    expect(salt('a', '')).toBe(salts[0]);
  });

  it('finds the end of a long string behind any run of backslashes', () => {
    for (let backslashes = 0; backslashes < 6; backslashes += 1) {
      for (let filler = 40; filler < 60; filler += 1) {
        const content = `${'x'.repeat(filler)}${'\\'.repeat(backslashes)}"`;
        const body = JSON.stringify({ content, model: 'a' });
        expect(JSON.parse(splice(body))).toEqual({ content, model: 'up/stream' });
      }
    }
  });
});
