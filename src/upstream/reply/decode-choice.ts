import type { Part, TokenLogprob } from '../../core/part.ts';
import { finishReasonOf } from '../wire/finish-reasons.ts';
import { asWire, indexOf, isText, type Wire } from '../wire/wire-chunk.ts';
import { chatLogprobs, completionLogprobs } from './decode-logprobs.ts';

/**
 * One choice of a chat chunk (`delta`) or of a whole chat reply (`message`): both carry the same fields. How many
 * tokens a delta stands for is known only from its log-probabilities; otherwise a piece of text counts as one.
 */
export function chatChoiceParts(choice: Wire): Part[] {
  const index = indexOf(choice);
  const body = asWire(choice.delta ?? choice.message);
  const parts: Part[] = [];
  const reasoning = [body.reasoning, body.reasoning_content].find(isText);
  if (reasoning !== undefined) parts.push({ type: 'reasoning-delta', index, text: reasoning, tokens: 1 });
  const text = [body.content, body.refusal].find(isText);
  if (text !== undefined) parts.push(textDelta(index, text, chatLogprobs(choice.logprobs)));
  if (Array.isArray(body.tool_calls)) {
    for (const [position, call] of body.tool_calls.map(asWire).entries()) {
      parts.push(toolCallDelta(index, position, call));
    }
  }
  return [...parts, ...finish(choice, index)];
}

/** One choice of a text completion, streamed or whole. */
export function completionChoiceParts(choice: Wire): Part[] {
  const index = indexOf(choice);
  const parts: Part[] = [];
  if (isText(choice.text)) parts.push(textDelta(index, choice.text, completionLogprobs(choice.logprobs)));
  return [...parts, ...finish(choice, index)];
}

function textDelta(index: number, text: string, logprobs: readonly TokenLogprob[] | undefined): Part {
  if (logprobs === undefined) return { type: 'text-delta', index, text, tokens: 1 };
  return { type: 'text-delta', index, text, tokens: logprobs.length, logprobs };
}

/** Whole replies number their calls by position, chunks by `index`. */
function toolCallDelta(index: number, position: number, call: Wire): Part {
  const called = asWire(call.function);
  return {
    type: 'tool-call-delta',
    index,
    call: typeof call.index === 'number' ? call.index : position,
    ...(isText(call.id) && { id: call.id }),
    ...(isText(called.name) && { name: called.name }),
    arguments: isText(called.arguments) ? called.arguments : '',
    tokens: 1,
  };
}

/** vLLM tells in `stop_reason` which stop string or token matched. */
function finish(choice: Wire, index: number): Part[] {
  const reason = finishReasonOf(choice);
  if (reason === undefined) return [];
  const match = choice.stop_reason;
  const stopMatch = typeof match === 'string' || typeof match === 'number' ? { stopMatch: match } : {};
  return [{ type: 'finish', index, reason, ...stopMatch }];
}
