import type { Relay } from '../../core/backend.ts';
import { AppError } from '../../core/error.ts';
import type { Part } from '../../core/part.ts';
import type { GenerateRequest } from '../../core/request.ts';
import type { Usage } from '../../core/usage.ts';
import { EventSplitter } from '../tap/event-splitter.ts';
import { readEvent } from '../tap/server-sent-event.ts';
import { usageOf } from '../wire/usage.ts';
import { asWire, choicesOf, type Wire } from '../wire/wire-chunk.ts';
import { chatChoiceParts, completionChoiceParts } from './decode-choice.ts';
import { pumpedBytes } from './pumped-bytes.ts';

/**
 * A reply's bytes, which have passed the tap, as parts. A failure after the beginning is the last part, of type `error`.
 * `start` tells no prompt size for streams: an upstream tells it only at the end.
 */
export async function* decodeReply(
  source: Source,
  request: Pick<GenerateRequest, 'endpoint' | 'stream'>,
): AsyncGenerator<Part, void, void> {
  const choiceParts = request.endpoint === 'chat' ? chatChoiceParts : completionChoiceParts;
  try {
    if (request.stream) yield* streamParts(source, choiceParts);
    else yield* wholeParts(source, choiceParts);
  } catch (error) {
    yield { type: 'error', error: AppError.from(error) };
  }
}

type Source = Pick<Relay, 'pump'>;
type ChoiceParts = (choice: Wire) => Part[];

async function* streamParts(source: Source, choiceParts: ChoiceParts): AsyncGenerator<Part, void, void> {
  const splitter = new EventSplitter();
  const ends: number[] = [];
  let usage: Usage | undefined;
  yield { type: 'start', promptTokens: 0, cachedPromptTokens: 0 };
  for await (const bytes of pumpedBytes(source)) {
    const block = splitter.push(bytes, ends);
    if (block === undefined) continue;
    let start = 0;
    for (const end of ends) {
      const { data } = readEvent(block.subarray(start, end));
      start = end;
      if (data === undefined || data === '' || data.trim() === '[DONE]') continue;
      const chunk = asWire(JSON.parse(data));
      usage = usageOf(chunk) ?? usage;
      for (const choice of choicesOf(chunk)) yield* choiceParts(choice);
    }
  }
  if (usage !== undefined) yield { type: 'usage', usage };
}

async function* wholeParts(source: Source, choiceParts: ChoiceParts): AsyncGenerator<Part, void, void> {
  const pieces: Buffer[] = [];
  for await (const bytes of pumpedBytes(source)) pieces.push(bytes);
  const reply = asWire(JSON.parse(Buffer.concat(pieces).toString('utf8')));
  const usage = usageOf(reply);
  yield {
    type: 'start',
    promptTokens: usage?.promptTokens ?? 0,
    cachedPromptTokens: usage?.cachedPromptTokens ?? 0,
  };
  for (const choice of choicesOf(reply)) yield* choiceParts(choice);
  if (usage !== undefined) yield { type: 'usage', usage };
}
