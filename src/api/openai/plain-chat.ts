import type { Message } from '../../core/message.ts';
import type { GenerateRequest, WireRequest } from '../../core/request.ts';
import type { RequestLimits } from './limits.ts';
import { NO_BIAS } from './sampling-fields.ts';

/** The fields of a plain chat request: others it does not have. */
export interface PlainChat {
  readonly model: string;
  readonly messages: readonly PlainMessage[];
  readonly user?: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly n?: 1;
  readonly seed?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly frequency_penalty?: number;
  readonly presence_penalty?: number;
}

interface PlainMessage {
  readonly role: 'user' | 'assistant' | 'system' | 'developer';
  readonly content: string;
}

/** Levels of what is taken for plain: the body, its messages, a message. */
const PLAIN_DEPTH = 3;

/**
 * Whether the body of a chat request is one that the schema would take, and as it stands: texts in the usual roles, a few
 * numbers, nothing else. Nearly all are, and looking at them in this way costs a tenth of the schema. A body that is
 * not plain may be valid all the same: the schema decides.
 */
export function isPlainChat(body: unknown, limits: RequestLimits): body is PlainChat {
  if (typeof body !== 'object' || body === null || limits.nestingDepth < PLAIN_DEPTH) return false;
  const fields = body as Readonly<Record<string, unknown>>;
  for (const name in fields) if (!isPlainField(name, fields[name], limits)) return false;
  return 'model' in fields && 'messages' in fields;
}

/** What it asks for. All that it cannot say is as in a request that does not say it. */
export function plainChatRequest(fields: PlainChat, wire: WireRequest, id: string): GenerateRequest {
  return {
    id,
    endpoint: 'chat',
    model: fields.model,
    prompts: [{ kind: 'chat', messages: fields.messages.map(toMessage) }],
    n: 1,
    sampling: {
      temperature: fields.temperature,
      topP: fields.top_p,
      topK: undefined,
      minP: undefined,
      typicalP: undefined,
      frequencyPenalty: fields.frequency_penalty ?? 0,
      presencePenalty: fields.presence_penalty ?? 0,
      repetitionPenalty: undefined,
      logitBias: NO_BIAS,
      seed: fields.seed,
    },
    stop: {
      maxTokens: fields.max_completion_tokens ?? fields.max_tokens,
      minTokens: 0,
      strings: [],
      tokenIds: [],
      ignoreEos: false,
      includeStopString: false,
    },
    tools: [],
    toolChoice: 'none',
    parallelToolCalls: true,
    structure: undefined,
    templateVariables: {},
    topLogprobs: undefined,
    echo: false,
    stream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
    requirements: [],
    wire,
  };
}

function toMessage({ role, content }: PlainMessage): Message {
  return { role, content: [{ type: 'text', text: content }], name: undefined };
}

function isPlainField(name: string, value: unknown, limits: RequestLimits): boolean {
  switch (name) {
    case 'messages':
      return Array.isArray(value) && value.length <= limits.messages && value.every(isPlainMessage);
    case 'model':
      return typeof value === 'string' && value.length > 0 && value.length <= 512;
    case 'user':
      return typeof value === 'string';
    case 'stream':
      return typeof value === 'boolean';
    case 'stream_options':
      return isUsageWish(value);
    case 'max_tokens':
    case 'max_completion_tokens':
      return isWithin(value, 1, Number.MAX_SAFE_INTEGER) && Number.isInteger(value);
    case 'n':
      return value === 1;
    case 'seed':
      return Number.isInteger(value);
    case 'temperature':
      return isWithin(value, 0, 2);
    case 'top_p':
      return isWithin(value, 0, 1) && value !== 0;
    case 'frequency_penalty':
    case 'presence_penalty':
      return isWithin(value, -2, 2);
    default:
      return false;
  }
}

function isPlainMessage(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const message = value as Readonly<Record<string, unknown>>;
  for (const name in message) if (name !== 'role' && name !== 'content') return false;
  const { role, content } = message;
  return (
    typeof content === 'string' &&
    (role === 'user' || role === 'assistant' || role === 'system' || role === 'developer')
  );
}

function isUsageWish(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const options = value as Readonly<Record<string, unknown>>;
  for (const name in options) if (name !== 'include_usage') return false;
  return options.include_usage === undefined || typeof options.include_usage === 'boolean';
}

function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && value >= least && value <= most;
}
