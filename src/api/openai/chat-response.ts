import type { Part } from '../../core/part.ts';
import { type UsageBody, usageBody } from '../../core/usage-body.ts';
import { FINISH_REASONS } from './finish-reason.ts';
import { type ChatTokenLogprob, chatLogprobs } from './logprobs-body.ts';
import { type ReplyHead, replyEndedEarly } from './reply-head.ts';

interface ToolCallBody {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

interface ChatChoice {
  content: string | null;
  reasoning: string;
  readonly logprobs: ChatTokenLogprob[];
  /** In the order in which the calls began. */
  readonly calls: Map<number, ToolCallBody>;
  finish: Extract<Part, { type: 'finish' }> | undefined;
}

/** Gathers the parts into a `chat.completion`. Throws the AppError of an `error` part, or one if the parts break off. */
export async function collectChat(parts: AsyncIterable<Part>, head: ReplyHead): Promise<object> {
  const choices = Array.from({ length: head.choices }, newChoice);
  let usage: UsageBody | undefined;
  for await (const part of parts) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'usage') usage = usageBody(part.usage);
    else if (part.type !== 'start') addPart(choices[part.index], part);
  }
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: choices.map((choice, index) => choiceBody(choice, index, head.logprobs === true)),
    ...(usage === undefined ? {} : { usage }),
  };
}

function newChoice(): ChatChoice {
  return { content: null, reasoning: '', logprobs: [], calls: new Map(), finish: undefined };
}

function addPart(
  choice: ChatChoice | undefined,
  part: Exclude<Part, { type: 'start' | 'usage' | 'error' }>,
): void {
  if (choice === undefined) return;
  switch (part.type) {
    case 'text-delta':
      // Tokens whose text is held back come as empty deltas: they say nothing.
      if (part.text !== '') choice.content = (choice.content ?? '') + part.text;
      if (part.logprobs) choice.logprobs.push(...chatLogprobs(part.logprobs));
      return;
    case 'reasoning-delta':
      choice.reasoning += part.text;
      return;
    case 'tool-call-delta': {
      const call = choice.calls.get(part.call);
      if (call) call.function.arguments += part.arguments;
      else
        choice.calls.set(part.call, {
          id: part.id ?? '',
          type: 'function',
          function: { name: part.name ?? '', arguments: part.arguments },
        });
      return;
    }
    case 'finish':
      choice.finish ??= part;
  }
}

function choiceBody(choice: ChatChoice, index: number, logprobsAsked: boolean): object {
  const { finish, calls } = choice;
  if (finish === undefined) throw replyEndedEarly();
  return {
    index,
    message: {
      role: 'assistant',
      // Null is for messages that only call tools; a reply of no text at all is an empty one.
      content: choice.content ?? (calls.size > 0 ? null : ''),
      refusal: null,
      annotations: [],
      ...(choice.reasoning === '' ? {} : { reasoning_content: choice.reasoning }),
      ...(calls.size === 0 ? {} : { tool_calls: [...calls.values()] }),
    },
    logprobs:
      logprobsAsked || choice.logprobs.length > 0 ? { content: choice.logprobs, refusal: null } : null,
    finish_reason: FINISH_REASONS[finish.reason],
    ...(finish.stopMatch === undefined ? {} : { stop_reason: finish.stopMatch }),
  };
}
