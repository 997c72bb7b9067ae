import { randomBytes } from 'node:crypto';
import { Template } from '@huggingface/jinja';
import { AppError } from '../core/error.ts';
import type { Message, Tool } from '../core/message.ts';
import { anyOf } from './special-tokens.ts';
import { type ToolDialect, toolDialect } from './tool-dialect.ts';
import { withoutToolRoles } from './tool-prompt.ts';

export interface ChatTemplateOptions {
  /** Jinja source, as in `tokenizer.chat_template`. */
  readonly source: string;
  readonly bosToken: string;
  readonly eosToken: string;
  /** Strings that would become control tokens. */
  readonly controlStrings: readonly string[];
}

export interface RenderedChat {
  /** The prompt. Control-token strings in it are the template's own. */
  readonly text: string;
  /** Gives a piece of `text` its original contents back; the result is plain text, whatever it looks like. */
  restore(piece: string): string;
}

/** Names that the template language or this file defines; a request cannot redefine them. */
const RESERVED = new Set(
  'messages tools bos_token eos_token raise_exception range strftime_now true false none True False None'.split(
    ' ',
  ),
);

const LONGEST_REFUSAL_CHARS = 300;

/**
 * The model's own chat template.
 *
 * Contents cannot forge control tokens: every control string in what the client sent is replaced by a random mark before
 * rendering, and so is the beginning of one at the end of a text, which another text could complete. The marks are
 * undone after the prompt has been cut at control tokens.
 */
export class ChatTemplate {
  readonly #options: ChatTemplateOptions;
  readonly #template: Template;
  readonly #control: ControlStrings;
  readonly #knowsDeveloper: boolean;
  readonly #knowsTools: boolean;
  /** How the model writes tool calls. */
  readonly dialect: ToolDialect;

  /** Throws when the source is not a template. */
  constructor(options: ChatTemplateOptions) {
    this.#options = options;
    this.#template = new Template(options.source);
    this.#control = new ControlStrings(options.controlStrings);
    this.#knowsDeveloper = options.source.includes('developer');
    const { dialect, native } = toolDialect(options.source);
    this.dialect = dialect;
    this.#knowsTools = native;
  }

  /**
   * The model is told of tools by its own template, or in the system prompt where the template knows none. Throws AppError
   * `invalid_value` when the template refuses the messages.
   */
  render(
    given: readonly Message[],
    tools: readonly Tool[],
    variables: Readonly<Record<string, unknown>>,
  ): RenderedChat {
    const marks = new Marks(this.#control);
    const messages = this.#knowsTools ? given : withoutToolRoles(given, tools);
    try {
      const safe = marks.replaceIn({
        messages: messages.map((m) => this.#messageVariable(m)),
        tools: tools.map(toolVariable),
        variables,
      });
      const extra = Object.entries(safe.variables).filter(([name]) => !RESERVED.has(name));
      const text = this.#template.render({
        add_generation_prompt: true,
        ...Object.fromEntries(extra),
        messages: safe.messages,
        ...(tools.length > 0 && this.#knowsTools ? { tools: safe.tools } : {}),
        bos_token: this.#options.bosToken,
        eos_token: this.#options.eosToken,
      });
      return { text, restore: (piece) => marks.restore(piece) };
    } catch (error) {
      const reason =
        error instanceof Error ? marks.restore(error.message).slice(0, LONGEST_REFUSAL_CHARS) : '';
      throw new AppError('invalid_value', {
        message: `The model's chat template does not accept these messages: ${reason}`,
        param: 'messages',
        cause: error,
      });
    }
  }

  #messageVariable(message: Message): Record<string, unknown> {
    const role = message.role === 'developer' && !this.#knowsDeveloper ? 'system' : message.role;
    const variable: Record<string, unknown> = { role, content: textOf(message) };
    if (message.name !== undefined) variable.name = message.name;
    if (message.toolCallId !== undefined) variable.tool_call_id = message.toolCallId;
    if (message.toolCalls !== undefined && message.toolCalls.length > 0)
      variable.tool_calls = message.toolCalls.map((call) => ({
        id: call.id,
        type: 'function',
        function: { name: call.name, arguments: parsedOrText(call.arguments) },
      }));
    return variable;
  }
}

/** Several text parts are separate lines, as in vLLM. */
function textOf(message: Message): string {
  return message.content
    .filter((part) => part.type === 'text')
    .map((part) => part.text)
    .join('\n');
}

function toolVariable(tool: Tool): object {
  return {
    type: 'function',
    function: { name: tool.name, description: tool.description ?? '', parameters: tool.parameters ?? {} },
  };
}

/** Templates expect arguments as an object and print it in the model's own way. */
function parsedOrText(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

/** Some vocabularies have thousands of them: contents are gone through once, not once for each. */
class ControlStrings {
  readonly pattern: RegExp | undefined;
  readonly #beginnings = new Set<string>();
  readonly #longest: number;

  constructor(strings: readonly string[]) {
    this.pattern = anyOf(strings);
    this.#longest = strings.reduce((longest, { length }) => Math.max(longest, length), 0);
    for (const string of strings)
      for (let length = 1; length < string.length; length++) this.#beginnings.add(string.slice(0, length));
  }

  /** Length of the longest end of `text` that begins a control string. */
  unfinished(text: string): number {
    let length = Math.min(this.#longest - 1, text.length);
    while (length > 0 && !this.#beginnings.has(text.slice(-length))) length--;
    return Math.max(length, 0);
  }
}

class Marks {
  readonly #control: ControlStrings;
  readonly #nonce = randomBytes(8).toString('hex');
  readonly #originals = new Map<string, number>();

  constructor(control: ControlStrings) {
    this.#control = control;
  }

  /** A deep copy with the control strings of every string and key replaced. */
  replaceIn<T>(value: T): T {
    return this.#replace(value) as T;
  }

  restore(text: string): string {
    if (this.#originals.size === 0) return text;
    const originals = [...this.#originals.keys()];
    return text.replace(new RegExp(`\\uE000${this.#nonce}:(\\d+)\\uE001`, 'g'), (_, index) => {
      return originals[Number(index)] ?? '';
    });
  }

  #replace(value: unknown): unknown {
    if (typeof value === 'string') return this.#replaceText(value);
    if (Array.isArray(value)) return value.map((item) => this.#replace(item));
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [this.#replaceText(key), this.#replace(item)]),
      );
    return value;
  }

  #replaceText(text: string): string {
    const { pattern } = this.#control;
    if (pattern === undefined) return text;
    const safe = text.replace(pattern, (found) => this.#mark(found));
    // Templates trim contents, so the end that counts is the last visible one.
    const end = safe.trimEnd();
    const beginning = this.#control.unfinished(end);
    if (beginning === 0) return safe;
    const at = end.length - beginning;
    return safe.slice(0, at) + this.#mark(safe.slice(at, at + 1)) + safe.slice(at + 1);
  }

  #mark(original: string): string {
    const index = this.#originals.get(original) ?? this.#originals.size;
    this.#originals.set(original, index);
    return `\uE000${this.#nonce}:${index}\uE001`;
  }
}
