import { type PartSource, pumpParts } from '../core/part-source.ts';
import type { Settlement } from './settlement.ts';

/** Passes parts through, and shows them to the settlement on their way. */
export function observeParts(parts: PartSource, settlement: Settlement): PartSource {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const part of parts) {
        settlement.note(part);
        yield part;
      }
    },
    pump: (take) =>
      pumpParts(parts, (part) => {
        settlement.note(part);
        return take(part);
      }),
  };
}
