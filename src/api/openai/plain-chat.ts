import type { RequestLimits } from './limits.ts';

/** Levels of what is taken for plain: the body, its messages, a message. */
const PLAIN_DEPTH = 3;

/**
 * Whether the body of a chat request is one that the schema would take, and as it stands: texts in the usual roles, a few
 * numbers, nothing else. Nearly all are, and to look at them so costs a tenth of the schema. A body that is not plain may
 * be a good one all the same: the schema says.
 */
export function isPlainChat(body: unknown, limits: RequestLimits): boolean {
  if (typeof body !== 'object' || body === null || limits.nestingDepth < PLAIN_DEPTH) return false;
  const fields = body as Readonly<Record<string, unknown>>;
  for (const name in fields) if (!isPlainField(name, fields[name], limits)) return false;
  return 'model' in fields && 'messages' in fields;
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
