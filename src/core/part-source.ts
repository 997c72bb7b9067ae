import type { Part } from './part.ts';

/** Parts on their way to one reader, which either iterates or pumps. Leaving before the end stops the work. */
export interface PartSource extends AsyncIterable<Part> {
  /**
   * Gives each part to `take` in the very turn of the event loop in which it comes, without a promise for each:
   * parts wait only for what `take` returns. Absent where parts come one by one anyway.
   *
   * @returns Resolves after the last part; rejects with what `take` throws.
   */
  pump?(take: TakePart): Promise<void>;
}

export type TakePart = (part: Part) => Promise<void> | undefined;

/** Pumps whatever the source is. */
export async function pumpParts(parts: PartSource, take: TakePart): Promise<void> {
  if (parts.pump !== undefined) return parts.pump(take);
  for await (const part of parts) {
    const taken = take(part);
    if (taken !== undefined) await taken;
  }
}
