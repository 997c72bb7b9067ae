import type { FinishReason } from '../../core/part.ts';

/** Core's names → OpenAI's `finish_reason`. */
export const FINISH_REASONS: Readonly<Record<FinishReason, string>> = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'content-filter': 'content_filter',
};
