import { describe, expect, test } from 'vitest';
import type { GenerateRequest } from '../../core/request.ts';
import { patternDetector } from '../../privacy/detector.ts';
import { SENSITIVE_KINDS } from '../../privacy/pattern.ts';
import { textDemands } from './privacy-rule.ts';

const rule = { detector: patternDetector(SENSITIVE_KINDS), mediaCount: false, whenFound: 'local' } as const;

function demandsOf(body: string) {
  const request = { prompts: [], wire: { body: Buffer.from(body) } };
  return textDemands(request as unknown as GenerateRequest, rule);
}

const asJson = (text: string, times: number): string =>
  times === 0 ? text : JSON.stringify(asJson(text, times - 1));
const withEscapes = (text: string) =>
  [...text].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');

describe('reads all of a body that an upstream would get', () => {
  test.each([
    ['a message', '{"messages":[{"role":"user","content":"call 13812345678"}]}'],
    ['an unknown field', '{"messages":[],"metadata":{"card":"4111111111111111"}}'],
    ['a name of a field', '{"messages":[],"13812345678":1}'],
    [
      'a field that a parser passes over',
      '{"messages":[{"content":"13812345678"}],"messages":[{"content":"hi"}]}',
    ],
    ['a number with more digits than a double has', '{"card":6222020000000000018}'],
    ['escapes', `{"content":"${withEscapes('13812345678')}"}`],
    ['arguments of a tool call', `{"arguments":${asJson('{"to":"13812345678"}', 1)}}`],
    ['JSON within JSON within JSON', `{"arguments":${asJson(`{"to":"${withEscapes('13812345678')}"}`, 2)}}`],
    [
      'a word and its number, both escaped',
      `{"arguments":${asJson(`{"${withEscapes('密码')}":"Abc12345!@#"}`, 1)}}`,
    ],
    ['a field whose name says what it holds', '{"metadata":{"password":"Tr0ub4dor&3"}}'],
    ['a number at the beginning of a line', String.raw`{"content":"Hello\n13812345678\tbye"}`],
  ])('%s', (_, body) => {
    JSON.parse(body);
    expect(demandsOf(body)).toEqual({ privacy: 'local' });
  });

  test('and demands nothing where there is nothing', () => {
    expect(
      demandsOf(
        '{"model":"auto","messages":[{"role":"user","content":"C:\\\\new \\"x\\" \\u00e9"}],"seed":7}',
      ),
    ).toEqual({});
  });
});

test.each([false, true])(
  'pictures, sound and files count as found where the rule says so (%s)',
  (mediaCount) => {
    const withPicture = {
      prompts: [],
      requirements: [{ capability: 'image', param: 'messages[0].content[0]' }],
      wire: { body: Buffer.from('{}') },
    };
    const demands = textDemands(withPicture as unknown as GenerateRequest, { ...rule, mediaCount });
    expect(demands).toEqual(mediaCount ? { privacy: 'local' } : {});
  },
);
