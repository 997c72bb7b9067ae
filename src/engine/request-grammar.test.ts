import { describe, expect, test } from 'vitest';
import { requestGrammar } from './request-grammar.ts';

const tools = [{ name: 'a' }, { name: 'b', parameters: { properties: { n: { type: 'integer' } } } }];
const structure = { kind: 'regex', pattern: 'x+', param: 'guided_regex' } as const;
const free = { structure: undefined, tools: [], toolChoice: 'none', parallelToolCalls: true } as const;

describe('the grammar of a reply', () => {
  test('is none where nothing was asked for, nor where tools are only allowed', () => {
    expect(requestGrammar(free, 'hermes')).toBeUndefined();
    expect(requestGrammar({ ...free, tools, toolChoice: 'auto' }, 'hermes')).toBeUndefined();
    expect(requestGrammar({ ...free, tools, toolChoice: 'none' }, 'hermes')).toBeUndefined();
  });

  test('of a named tool has no other, and only one call', () => {
    const grammar = requestGrammar({ ...free, tools, toolChoice: { name: 'b' } }, 'hermes');
    expect(grammar?.param).toBe('tools');
    expect(grammar?.text.match(/tool_call>/g)).toHaveLength(2);
    expect(grammar?.text).not.toContain('U00000022a\\U00000022');
  });

  test('of the llama dialect speaks of parameters, and of no marks', () => {
    const { text } = requestGrammar({ ...free, tools, toolChoice: 'required' }, 'llama')!;
    expect(text).toContain('parameters');
    expect(text).not.toContain('tool_call');
  });

  test('with tools that are allowed beside a structure has both', () => {
    const { text, param } = requestGrammar({ ...free, tools, toolChoice: 'auto', structure }, 'hermes')!;
    expect(param).toBe('guided_regex');
    expect(text).toContain('tool_call');
    expect(text).toContain('[\\U00000078]+');
  });

  test('that cannot be made names the field at fault', () => {
    const bad = [{ name: 'a', parameters: { type: 'thing' } }];
    expect(() => requestGrammar({ ...free, tools: bad, toolChoice: 'required' }, 'hermes')).toThrow(
      expect.objectContaining({ code: 'invalid_value', param: 'tools' }),
    );
    const pattern = { ...structure, pattern: '(' };
    expect(() => requestGrammar({ ...free, structure: pattern }, 'hermes')).toThrow(
      expect.objectContaining({ code: 'invalid_value', param: 'guided_regex' }),
    );
  });
});
