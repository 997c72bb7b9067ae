import type { Part } from '../../core/part.ts';
import { usageBody } from '../../core/usage-body.ts';
import { finishJson, type ReplyStream, type StreamOptions } from './chat-stream.ts';
import { errorEvent } from './error-body.ts';
import { appendCompletionLogprobs, emptyCompletionLogprobs } from './logprobs-body.ts';
import { replyEndedEarly } from './reply-head.ts';

/** Parts → `text_completion` events. Reasoning and tool calls have no place in this format and are left out. */
export function completionStream(options: StreamOptions): ReplyStream {
  const head =
    `data: {"id":${JSON.stringify(options.id)},"object":"text_completion",` +
    `"created":${options.created},"model":${JSON.stringify(options.model)},"choices":[`;
  const tail = options.includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
  const finished = new Set<number>();
  /** Choice → where its next token begins. */
  const offsets = new Map<number, number>();
  let hasFailed = false;

  function chunk(index: number, text: string, logprobs: string, ending: string): string {
    return `${head}{"index":${index},"text":${JSON.stringify(text)},"logprobs":${logprobs},${ending}}${tail}`;
  }

  function push(part: Part): string {
    if (hasFailed) return '';
    switch (part.type) {
      case 'start':
      case 'reasoning-delta':
      case 'tool-call-delta':
        return '';
      case 'text-delta': {
        if (!part.logprobs?.length)
          return part.text === '' ? '' : chunk(part.index, part.text, 'null', '"finish_reason":null');
        const logprobs = emptyCompletionLogprobs();
        const offset = offsets.get(part.index) ?? 0;
        offsets.set(part.index, appendCompletionLogprobs(logprobs, part.logprobs, offset));
        return chunk(part.index, part.text, JSON.stringify(logprobs), '"finish_reason":null');
      }
      case 'finish':
        if (finished.has(part.index)) return '';
        finished.add(part.index);
        return chunk(part.index, '', 'null', finishJson(part));
      case 'usage':
        if (!options.includeUsage) return '';
        return `${head}],"usage":${JSON.stringify(usageBody(part.usage))}}\n\n`;
      case 'error':
        hasFailed = true;
        return errorEvent(part.error);
    }
  }

  function end(): string {
    if (hasFailed) return '';
    if (finished.size < options.choices) throw replyEndedEarly();
    return 'data: [DONE]\n\n';
  }

  return { push, end };
}
