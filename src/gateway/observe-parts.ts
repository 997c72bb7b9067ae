import type { Part } from '../core/part.ts';
import type { Settlement } from './settlement.ts';

/** Passes parts through and notes what settling needs. An `error` part is thrown, so that one path ends every failed reply. */
export async function* observeParts(
  parts: AsyncIterable<Part>,
  settlement: Settlement,
  now: () => number,
): AsyncGenerator<Part, void, void> {
  const { observation } = settlement;
  for await (const part of parts) {
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
    yield part;
  }
}
