import type { ToolDialect } from './tool-dialect.ts';

/** What a piece of a reply turned out to be. */
export type Spoken =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'call'; readonly call: number; readonly name: string; readonly arguments: string };

export interface ToolCallReaderOptions {
  readonly dialect: ToolDialect;
  /** Tools that may be called. A call of any other is text. */
  readonly names: ReadonlySet<string>;
  /** The reply cannot be anything but calls: what breaks off in the middle of one is a call all the same. */
  readonly forced: boolean;
}

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';

/**
 * Finds tool calls in a reply that arrives in pieces. Everything else is text, and comes as soon as it cannot belong to a call.
 * White space around calls is dropped; a call that is malformed comes as the text it is.
 */
export class ToolCallReader {
  readonly #options: ToolCallReaderOptions;
  /** Not decided yet. */
  #held = '';
  #inCall = false;
  #calls = 0;
  /** Text was given, so that a reply of the llama dialect is no call any more. */
  #hasText = false;

  constructor(options: ToolCallReaderOptions) {
    this.#options = options;
  }

  /** Calls given so far. */
  get calls(): number {
    return this.#calls;
  }

  push(text: string): Spoken[] {
    this.#held += text;
    const spoken: Spoken[] = [];
    while (this.#options.dialect === 'hermes' ? this.#readHermes(spoken) : this.#readLlama(spoken));
    return spoken;
  }

  /** The reply has ended. */
  flush(): Spoken[] {
    const spoken: Spoken[] = [];
    const rest = this.#held;
    this.#held = '';
    if (rest === '') return spoken;
    if (!this.#inCall) {
      const isCut = this.#options.forced && OPEN.startsWith(rest.trim());
      if (!isCut && (this.#calls === 0 || rest.trim() !== '')) this.#text(rest, spoken);
      return spoken;
    }
    this.#inCall = false;
    // Models forget the end mark.
    if (this.#call(rest, spoken)) return spoken;
    const { forced } = this.#options;
    const partial = forced ? partialCall(rest) : undefined;
    if (partial !== undefined) spoken.push({ type: 'call', call: this.#calls++, ...partial });
    // It could only have become a call: its beginning is no text for people.
    else if (!forced) this.#text(this.#options.dialect === 'hermes' ? OPEN + rest : rest, spoken);
    return spoken;
  }

  /** True: there may be more to read. */
  #readHermes(spoken: Spoken[]): boolean {
    if (this.#inCall) {
      const end = endOfCall(this.#held);
      if (end < 0) return false;
      const inner = this.#held.slice(0, end);
      this.#held = this.#held.slice(end + CLOSE.length);
      this.#inCall = false;
      if (!this.#call(inner, spoken)) this.#text(OPEN + inner + CLOSE, spoken);
      return true;
    }
    const start = this.#held.indexOf(OPEN);
    if (start < 0) {
      this.#release(spoken);
      return false;
    }
    const before = this.#held.slice(0, start);
    if (before.trim() !== '') this.#text(before.trimEnd(), spoken);
    this.#held = this.#held.slice(start + OPEN.length);
    this.#inCall = true;
    return true;
  }

  /** Gives what cannot be the beginning of a call, nor the white space before one. */
  #release(spoken: Spoken[]): void {
    const held = this.#held;
    let keep = 0;
    for (let length = Math.min(OPEN.length - 1, held.length); length > 0 && keep === 0; length--)
      if (held.endsWith(OPEN.slice(0, length))) keep = length;
    const shown = held.slice(0, held.length - keep).trimEnd();
    if (shown === '') return;
    this.#text(shown, spoken);
    this.#held = held.slice(shown.length);
  }

  #readLlama(spoken: Spoken[]): boolean {
    if (!this.#inCall) {
      const start = this.#held.search(/[^\s;]/);
      if (start < 0) return false;
      if (this.#held[start] !== '{' || this.#hasText) {
        this.#text(this.#held, spoken);
        this.#held = '';
        return false;
      }
      this.#held = this.#held.slice(start);
      this.#inCall = true;
    }
    const end = endOfObject(this.#held);
    if (end < 0) return false;
    const inner = this.#held.slice(0, end);
    this.#held = this.#held.slice(end);
    this.#inCall = false;
    if (!this.#call(inner, spoken)) this.#text(inner, spoken);
    return this.#held !== '';
  }

  #text(text: string, spoken: Spoken[]): void {
    this.#hasText = true;
    spoken.push({ type: 'text', text });
  }

  #call(json: string, spoken: Spoken[]): boolean {
    const call = parsedCall(json);
    if (call === undefined || !this.#options.names.has(call.name)) return false;
    spoken.push({ type: 'call', call: this.#calls++, ...call });
    return true;
  }
}

function parsedCall(json: string): { name: string; arguments: string } | undefined {
  let call: unknown;
  try {
    call = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof call !== 'object' || call === null || !('name' in call) || typeof call.name !== 'string')
    return undefined;
  const given = 'arguments' in call ? call.arguments : 'parameters' in call ? call.parameters : {};
  if (typeof given === 'object' && given !== null && !Array.isArray(given))
    return { name: call.name, arguments: JSON.stringify(given) };
  return typeof given === 'string' && isJsonObject(given) ? { name: call.name, arguments: given } : undefined;
}

/** Some models write the arguments as a string of JSON. */
function isJsonObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** Of a call that broke off: its name, and what there is of its arguments. */
function partialCall(text: string): { name: string; arguments: string } | undefined {
  const found = /^\s*\{"name": ("(?:[^"\\]|\\.)*"), "(?:arguments|parameters)": ([\s\S]*)$/.exec(text);
  return found === null ? undefined : { name: JSON.parse(found[1]!), arguments: found[2]! };
}

/** Where the end mark is that does not stand within a string of the call; -1 without one. */
function endOfCall(text: string): number {
  let at = text.indexOf(CLOSE);
  while (at >= 0 && isInString(text.slice(0, at))) at = text.indexOf(CLOSE, at + 1);
  return at;
}

function isInString(text: string): boolean {
  return (text.replace(/\\./gs, '').split('"').length - 1) % 2 === 1;
}

/** Just behind the object that the text begins with; -1 while it is not complete. */
function endOfObject(text: string): number {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (inString) {
      if (character === '\\') i++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{') depth++;
    else if (character === '}' && --depth === 0) return i + 1;
  }
  return -1;
}
