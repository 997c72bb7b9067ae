import type { Message, Tool, ToolCall } from '../core/message.ts';

/**
 * A conversation with tools for a template that knows none: what tools there are is said in the system prompt, calls and
 * results become ordinary messages, in the format of Hermes (see tool-dialect.ts). With nothing of tools in it, the
 * conversation comes back as it is.
 */
export function withoutToolRoles(messages: readonly Message[], tools: readonly Tool[]): readonly Message[] {
  const plain: Message[] = [];
  for (const message of messages) {
    if (message.role === 'tool') addResult(plain, message);
    else if (message.toolCalls?.length) plain.push(asText(message));
    else plain.push(message);
  }
  return tools.length > 0 ? withDescription(plain, describe(tools)) : plain;
}

function withDescription(messages: readonly Message[], description: string): readonly Message[] {
  const [first, ...rest] = messages;
  if (first === undefined || (first.role !== 'system' && first.role !== 'developer'))
    return [{ role: 'system', content: [{ type: 'text', text: description }] }, ...messages];
  return [{ ...first, content: [...first.content, { type: 'text', text: `\n${description}` }] }, ...rest];
}

function describe(tools: readonly Tool[]): string {
  const lines = tools.map(({ name, description, parameters }) =>
    spacedJson({
      type: 'function',
      function: { name, description: description ?? '', parameters: parameters ?? {} },
    }),
  );
  return [
    'You have tools. Each line between <tools> and </tools> describes one, with the JSON schema of its arguments:',
    '<tools>',
    ...lines,
    '</tools>',
    'To use a tool, answer with its name and arguments as JSON, like this:',
    '<tool_call>',
    '{"name": "the name of the tool", "arguments": {"an argument": "its value"}}',
    '</tool_call>',
    'You will be given the result between <tool_response> and </tool_response>.',
  ].join('\n');
}

function asText({ toolCalls = [], ...message }: Message): Message {
  const calls = toolCalls.map(callText).join('\n');
  const content = message.content.filter((part) => part.type !== 'text' || part.text !== '');
  return { ...message, content: [...content, { type: 'text', text: calls }] };
}

function callText({ name, arguments: json }: ToolCall): string {
  return `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${json === '' ? '{}' : json}}\n</tool_call>`;
}

/** Results that follow one another are one message: templates want user and assistant to alternate. */
function addResult(messages: Message[], { content }: Message): void {
  const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
  const part = { type: 'text', text: `<tool_response>\n${text}\n</tool_response>` } as const;
  const last = messages.at(-1);
  const isResult = last?.role === 'user' && last.content[0]?.type === 'text' && results.has(last);
  const message: Message = { role: 'user', content: isResult ? [...last.content, part] : [part] };
  if (isResult) messages.pop();
  results.add(message);
  messages.push(message);
}

const results = new WeakSet<Message>();

/** With a space after commas and colons, as models have seen it most. */
function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}: ${spacedJson(member)}`).join(', ')}}`;
}
