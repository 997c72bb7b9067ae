import type { Part } from '../core/part.ts';
import { type PartSource, pumpParts } from '../core/part-source.ts';
import type { Settlement } from './settlement.ts';

/** Passes parts through and notes what settling needs. An `error` part is thrown, so that one path ends every failed reply. */
export function observeParts(parts: PartSource, settlement: Settlement, now: () => number): PartSource {
  const note = (part: Part) => notePart(part, settlement, now);
  return {
    async *[Symbol.asyncIterator]() {
      for await (const part of parts) {
        note(part);
        yield part;
      }
    },
    pump: (take) =>
      pumpParts(parts, (part) => {
        note(part);
        return take(part);
      }),
  };
}

function notePart(part: Part, settlement: Settlement, now: () => number): void {
  const { observation } = settlement;
  switch (part.type) {
    case 'start':
      settlement.promptTokens = part.promptTokens;
      settlement.cachedPromptTokens = part.cachedPromptTokens;
      break;
    case 'text-delta':
    case 'reasoning-delta':
    case 'tool-call-delta':
      settlement.deliveredTokens += part.tokens;
      observation.contentEvents++;
      observation.lastTokenAtMs = now();
      observation.firstTokenAtMs ??= observation.lastTokenAtMs;
      break;
    case 'finish':
      observation.finishReasons.push(part.reason);
      break;
    case 'usage':
      observation.usage = part.usage;
      break;
    case 'error':
      throw part.error;
  }
}
