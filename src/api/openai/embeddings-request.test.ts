import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import type { WireRequest } from '../../core/request.ts';
import { parseEmbeddingsRequest } from './embeddings-request.ts';

const wire: WireRequest = { dialect: 'openai', path: '/embeddings', body: Buffer.alloc(0) };
const parse = (body: unknown) => parseEmbeddingsRequest(body, wire, 'req_1');
const refusal = (body: unknown) => {
  try {
    parse(body);
  } catch (error) {
    return error;
  }
  return expect.fail('it should have been refused');
};

describe('an embeddings request', () => {
  it.each<[unknown, unknown]>([
    ['hello', ['hello']],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [[1, 2, 3], [[1, 2, 3]]],
    [
      [[1, 2], [3]],
      [[1, 2], [3]],
    ],
  ])('takes the input %j', (input, inputs) => {
    expect(parse({ model: 'm', input }).request).toMatchObject({
      endpoint: 'embeddings',
      model: 'm',
      inputs,
    });
  });

  it('gives floats unless base64 is asked for', () => {
    expect(parse({ model: 'm', input: 'a' }).format).toBe('float');
    expect(parse({ model: 'm', input: 'a', encoding_format: null }).format).toBe('float');
    expect(parse({ model: 'm', input: 'a', encoding_format: 'base64' }).format).toBe('base64');
  });

  it('accepts fields that it has no use for', () => {
    expect(
      parse({ model: 'm', input: 'a', user: 'u', priority: 3, extra: { deep: [] } }).request.inputs,
    ).toEqual(['a']);
  });

  it.each<[object, number | undefined]>([
    [{}, undefined],
    [{ truncate: false }, undefined],
    [{ truncate: 'NONE' }, undefined],
    [{ truncate: true }, 2 ** 31 - 1],
    [{ truncate: 'END' }, 2 ** 31 - 1],
    [{ truncate_prompt_tokens: -1 }, 2 ** 31 - 1],
    [{ truncate_prompt_tokens: 5 }, 5],
    [{ truncate: true, truncate_prompt_tokens: 5 }, 5],
  ])('with %j has its inputs cut to %s tokens', (fields, tokens) => {
    expect(parse({ model: 'm', input: 'a', ...fields }).request.truncateTokens).toBe(tokens);
  });

  it('that wants inputs cut at their start is refused', () => {
    expect(refusal({ model: 'm', input: 'a', truncate: 'START' })).toMatchObject({ param: 'truncate' });
  });

  it('takes 2,048 inputs and not one more', () => {
    const input = Array.from({ length: 2_048 }, () => 'a');
    expect(parse({ model: 'm', input }).request.inputs.length).toBe(2_048);
    expect(refusal({ model: 'm', input: [...input, 'a'] })).toMatchObject({
      param: 'input',
      message: expect.stringContaining('at most 2048 entries, but has 2049'),
    });
  });

  it.each<[string, object, string]>([
    ['no model', { input: 'a' }, 'model'],
    ['no input', { model: 'm' }, 'input'],
    ['a null input', { input: null }, 'input'],
    ['an object as input', { input: { text: 'a' } }, 'input'],
    ['no inputs', { input: [] }, 'input'],
    ['an empty text', { input: '' }, 'input'],
    ['an empty text among others', { input: ['a', ''] }, 'input[1]'],
    ['an empty list of token ids', { input: [[1], []] }, 'input[1]'],
    ['texts and tokens mixed', { input: ['a', [1]] }, 'input[1]'],
    ['a number among texts', { input: ['a', 1] }, 'input[1]'],
    ['a text among token ids', { input: [1, 'a'] }, 'input[1]'],
    ['a negative token id', { input: [1, -1] }, 'input[1]'],
    ['a fraction as token id', { input: [[0.5]] }, 'input[0][0]'],
    ['objects', { input: [{}] }, 'input[0]'],
    ['no dimensions', { input: 'a', dimensions: 0 }, 'dimensions'],
    ['half a dimension', { input: 'a', dimensions: 1.5 }, 'dimensions'],
    ['another encoding', { input: 'a', encoding_format: 'int8' }, 'encoding_format'],
    ['truncation to nothing', { input: 'a', truncate_prompt_tokens: 0 }, 'truncate_prompt_tokens'],
    ['truncation below -1', { input: 'a', truncate_prompt_tokens: -2 }, 'truncate_prompt_tokens'],
  ])('is refused with %s, and the error names the field', (_what, fields, param) => {
    expect(
      refusal({ ...('model' in fields || _what === 'no model' ? {} : { model: 'm' }), ...fields }),
    ).toMatchObject({ status: 400, param });
  });

  it('parses any JSON value or refuses it with a 400', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (body, input) => {
        for (const value of [body, { model: 'm', input }]) {
          try {
            parse(value);
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
            expect((error as AppError).status).toBe(400);
          }
        }
      }),
    );
  });
});
