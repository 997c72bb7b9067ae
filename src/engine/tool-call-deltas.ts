import type { Part } from '../core/part.ts';
import type { Spoken, ToolCallReader } from './tool-call-reader.ts';

type TextDelta = Extract<Part, { type: 'text-delta' }>;

export interface ToolCallDeltasOptions {
  /** The choice. */
  readonly index: number;
  readonly reader: ToolCallReader;
  /** The reply ends behind its first call. */
  readonly single: boolean;
  readonly newId: () => string;
}

/** Divides the text of one choice into parts of text and of tool calls. */
export class ToolCallDeltas {
  readonly #options: ToolCallDeltasOptions;

  constructor(options: ToolCallDeltasOptions) {
    this.#options = options;
  }

  get hasCalls(): boolean {
    return this.#options.reader.calls > 0;
  }

  /** No more can come that anybody wants. */
  get isComplete(): boolean {
    return this.#options.single && this.hasCalls;
  }

  /**
   * The tokens of the delta are counted with the first part. Its log-probabilities come with text, and not at all where
   * its text became a call.
   */
  divide(delta: TextDelta): Part[] {
    const spoken = this.#options.reader.push(delta.text);
    const first = spoken[0];
    if (first?.type === 'text')
      return [{ ...delta, text: first.text }, ...spoken.slice(1).map((s) => this.#part(s, 0))];
    const { logprobs: _, ...counted } = delta;
    if (first === undefined) return [{ ...counted, text: '' }];
    return [this.#part(first, delta.tokens), ...spoken.slice(1).map((s) => this.#part(s, 0))];
  }

  /** The reply has ended. */
  flush(): Part[] {
    return this.#options.reader.flush().map((spoken) => this.#part(spoken, 0));
  }

  #part(spoken: Spoken, tokens: number): Part {
    const { index, newId } = this.#options;
    if (spoken.type === 'text') return { type: 'text-delta', index, text: spoken.text, tokens };
    const { call, name } = spoken;
    return { type: 'tool-call-delta', index, call, id: newId(), name, arguments: spoken.arguments, tokens };
  }
}
