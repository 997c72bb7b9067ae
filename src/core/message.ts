/** One piece of a message's content. Text-only backends accept only `text`. */
export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly url: string; readonly detail?: string | undefined }
  | { readonly type: 'audio'; readonly data: string; readonly format: string }
  | { readonly type: 'file'; readonly data: unknown };

export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool';

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, as the model wrote it. */
  readonly arguments: string;
}

export interface Message {
  readonly role: Role;
  readonly content: readonly ContentPart[];
  readonly name?: string | undefined;
  readonly toolCalls?: readonly ToolCall[] | undefined;
  readonly toolCallId?: string | undefined;
}

export interface Tool {
  readonly name: string;
  readonly description?: string | undefined;
  readonly parameters?: unknown;
}
