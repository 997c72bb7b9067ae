import { expect, test } from 'vitest';
import { toolDialect } from './tool-dialect.ts';

test.each([
  ['Qwen', '{% if tools %}<tools>…<tool_call>{% endif %}', { dialect: 'hermes', native: true }],
  [
    'Llama 3',
    '{% if tools is not none %}Environment: ipython{% endif %}',
    { dialect: 'llama', native: true },
  ],
  ['SmolLM 2', '{% for m in messages %}{{ m.content }}{% endfor %}', { dialect: 'hermes', native: false }],
  [
    'one with marks of its own',
    '[AVAILABLE_TOOLS]{{ tools }}[TOOL_CALLS]',
    { dialect: 'hermes', native: false },
  ],
])('%s', (_, template, expected) => {
  expect(toolDialect(template)).toEqual(expected);
});
