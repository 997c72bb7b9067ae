import type { Message, Tool } from './message.ts';
import type { Sampling, StopRules } from './sampling.ts';

/** What is to be continued. A completion request may carry several prompts; a chat has exactly one. */
export type Prompt =
  | { readonly kind: 'chat'; readonly messages: readonly Message[] }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] };

/** The request as it came in, for the relay: bytes are forwarded with only `model` and `stream_options` rewritten. */
export interface WireRequest {
  readonly dialect: 'openai';
  /** Path below the API root, such as `/chat/completions`. */
  readonly path: string;
  readonly body: Buffer;
}

export type ToolChoice = 'none' | 'auto' | 'required' | { readonly name: string };

/** What a reply's text has to conform to. `param` is the wire field that asked for it. */
export type Structure = { readonly param: string } & (
  | { readonly kind: 'json'; readonly schema: unknown }
  | { readonly kind: 'regex'; readonly pattern: string }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  /** EBNF with a rule `root`. */
  | { readonly kind: 'grammar'; readonly text: string }
);

/**
 * Features that not every deployment has. `param` is the wire field that asked for it, so that a refusal can name it.
 */
export interface Requirement {
  readonly capability: 'tools' | 'image' | 'audio' | 'file' | 'structured-output' | 'suffix';
  readonly param: string;
}

/** One generation, independent of the dialect it came in. Choice `i` answers prompt `floor(i / n)`. */
export interface GenerateRequest {
  readonly id: string;
  readonly endpoint: 'chat' | 'completion';
  /** The public model name that the client asked for. */
  readonly model: string;
  readonly prompts: readonly Prompt[];
  readonly n: number;
  readonly sampling: Sampling;
  readonly stop: StopRules;
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice;
  /** Whether a reply may call more than one tool. */
  readonly parallelToolCalls: boolean;
  /**
   * Undefined although there is a `structured-output` requirement: it was asked for in a form that only some
   * upstreams know.
   */
  readonly structure: Structure | undefined;
  /** Extra variables for the chat template (vLLM's `chat_template_kwargs`). */
  readonly templateVariables: Readonly<Record<string, unknown>>;
  /** A model's memory of a prompt serves only requests with the same salt (vLLM's `cache_salt`). */
  readonly cacheSalt?: string;
  /** Undefined: no log-probabilities. Else the number of alternatives per token (0 is allowed). */
  readonly topLogprobs: number | undefined;
  /** Completions only: the reply starts with the prompt. */
  readonly echo: boolean;
  readonly stream: boolean;
  /** The client asked for a usage chunk at the end of the stream. */
  readonly includeUsage: boolean;
  readonly requirements: readonly Requirement[];
  /** Nobody has read the prompt: `prompts` holds a stand-in, and only a backend that takes such requests may have it. */
  readonly unread?: boolean;
  readonly wire: WireRequest;
}

/** How many choices its reply has. */
export function choiceCount({ n, prompts }: Pick<GenerateRequest, 'n' | 'prompts'>): number {
  return n * prompts.length;
}
