import type { Part, TokenLogprob } from '../../core/part.ts';
import { usageBody } from '../../core/usage-body.ts';
import { errorEvent } from './error-body.ts';
import { FINISH_REASONS } from './finish-reason.ts';
import { chatLogprobs } from './logprobs-body.ts';
import { type ReplyHead, replyEndedEarly } from './reply-head.ts';

export interface ReplyStream {
  /** Zero or more whole SSE events, as text. */
  push(part: Part): string;
  /** What closes the stream: `[DONE]`, or nothing after an error. Throws an AppError if a choice is unfinished. */
  end(): string;
}

export interface StreamOptions extends ReplyHead {
  /** The client asked for `stream_options.include_usage`. */
  readonly includeUsage: boolean;
}

interface ChoiceState {
  hasRole: boolean;
  isFinished: boolean;
  /** Calls whose id, type and name have been sent: they are never sent again. */
  readonly calls: Set<number>;
}

/**
 * Parts → `chat.completion.chunk` events. Events are put together from precomputed text: only the delta is new, and
 * stringifying a whole object per token takes nearly twice the time.
 */
export function chatStream(options: StreamOptions): ReplyStream {
  const head =
    `data: {"id":${JSON.stringify(options.id)},"object":"chat.completion.chunk",` +
    `"created":${options.created},"model":${JSON.stringify(options.model)},"choices":[`;
  const tail = options.includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
  const choices = new Map<number, ChoiceState>();
  let finished = 0;
  let hasFailed = false;

  function chunk(index: number, delta: string, logprobs = 'null', ending = '"finish_reason":null'): string {
    return `${head}{"index":${index},"delta":${delta},"logprobs":${logprobs},${ending}}${tail}`;
  }

  function choiceAt(index: number): ChoiceState {
    let choice = choices.get(index);
    if (choice === undefined) {
      choice = { hasRole: false, isFinished: false, calls: new Set() };
      choices.set(index, choice);
    }
    return choice;
  }

  /** The first event of a choice, before any other. */
  function role(index: number): string {
    const choice = choiceAt(index);
    if (choice.hasRole) return '';
    choice.hasRole = true;
    return chunk(index, '{"role":"assistant","content":""}');
  }

  function push(part: Part): string {
    if (hasFailed) return '';
    switch (part.type) {
      case 'start':
        return '';
      case 'text-delta': {
        if (part.text === '' && !part.logprobs?.length) return '';
        const delta = `{"content":${JSON.stringify(part.text)}}`;
        return role(part.index) + chunk(part.index, delta, logprobsJson(part.logprobs));
      }
      case 'reasoning-delta':
        if (part.text === '') return '';
        return role(part.index) + chunk(part.index, `{"reasoning_content":${JSON.stringify(part.text)}}`);
      case 'tool-call-delta': {
        const choice = choiceAt(part.index);
        const isNew = !choice.calls.has(part.call);
        if (!isNew && part.arguments === '') return '';
        choice.calls.add(part.call);
        return role(part.index) + chunk(part.index, toolCallDelta(part, isNew));
      }
      case 'finish': {
        const choice = choiceAt(part.index);
        if (choice.isFinished) return '';
        choice.isFinished = true;
        finished++;
        return role(part.index) + chunk(part.index, '{}', 'null', finishJson(part));
      }
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
    if (finished < options.choices) throw replyEndedEarly();
    return 'data: [DONE]\n\n';
  }

  return { push, end };
}

/** `"finish_reason":…`, and vLLM's `stop_reason` where a stop string or token matched. */
export function finishJson(part: Extract<Part, { type: 'finish' }>): string {
  const reason = `"finish_reason":"${FINISH_REASONS[part.reason]}"`;
  return part.stopMatch === undefined ? reason : `${reason},"stop_reason":${JSON.stringify(part.stopMatch)}`;
}

function toolCallDelta(part: Extract<Part, { type: 'tool-call-delta' }>, isNew: boolean): string {
  const introduction = isNew ? `"id":${JSON.stringify(part.id ?? '')},"type":"function",` : '';
  const name = isNew ? `"name":${JSON.stringify(part.name ?? '')},` : '';
  return (
    `{"tool_calls":[{"index":${part.call},${introduction}` +
    `"function":{${name}"arguments":${JSON.stringify(part.arguments)}}}]}`
  );
}

function logprobsJson(logprobs: readonly TokenLogprob[] | undefined): string {
  return logprobs?.length ? `{"content":${JSON.stringify(chatLogprobs(logprobs))},"refusal":null}` : 'null';
}
