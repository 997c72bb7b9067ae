import type { Part } from '../../core/part.ts';
import { type UsageBody, usageBody } from '../../core/usage-body.ts';
import { FINISH_REASONS } from './finish-reason.ts';
import {
  appendCompletionLogprobs,
  type CompletionLogprobs,
  emptyCompletionLogprobs,
} from './logprobs-body.ts';
import { type ReplyHead, replyEndedEarly } from './reply-head.ts';

interface CompletionChoice {
  text: string;
  readonly logprobs: CompletionLogprobs;
  nextOffset: number;
  finish: Extract<Part, { type: 'finish' }> | undefined;
}

/** Gathers the parts into a `text_completion`. Throws the AppError of an `error` part, or one if the parts break off. */
export async function collectCompletion(parts: AsyncIterable<Part>, head: ReplyHead): Promise<object> {
  const choices = Array.from({ length: head.choices }, newChoice);
  let usage: UsageBody | undefined;
  for await (const part of parts) {
    switch (part.type) {
      case 'error':
        throw part.error;
      case 'usage':
        usage = usageBody(part.usage);
        break;
      case 'text-delta': {
        const choice = choices[part.index];
        if (choice === undefined) break;
        choice.text += part.text;
        if (part.logprobs)
          choice.nextOffset = appendCompletionLogprobs(choice.logprobs, part.logprobs, choice.nextOffset);
        break;
      }
      case 'finish': {
        const choice = choices[part.index];
        if (choice) choice.finish ??= part;
        break;
      }
      case 'start':
      case 'reasoning-delta':
      case 'tool-call-delta':
        break;
    }
  }
  return {
    id: head.id,
    object: 'text_completion',
    created: head.created,
    model: head.model,
    choices: choices.map((choice, index) => choiceBody(choice, index, head.logprobs === true)),
    ...(usage === undefined ? {} : { usage }),
  };
}

function newChoice(): CompletionChoice {
  return { text: '', logprobs: emptyCompletionLogprobs(), nextOffset: 0, finish: undefined };
}

function choiceBody(choice: CompletionChoice, index: number, logprobsAsked: boolean): object {
  const { finish, logprobs } = choice;
  if (finish === undefined) throw replyEndedEarly();
  return {
    index,
    text: choice.text,
    logprobs: logprobsAsked || logprobs.tokens.length > 0 ? logprobs : null,
    finish_reason: FINISH_REASONS[finish.reason],
    ...(finish.stopMatch === undefined ? {} : { stop_reason: finish.stopMatch }),
  };
}
