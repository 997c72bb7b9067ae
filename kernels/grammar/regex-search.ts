import { includes } from './code-points.ts';
import type { Regex } from './regex.ts';

/** Told of work in advance; throws where it comes to too much. */
export type Spend = (steps: number) => void;

/**
 * Whether an expression matches anywhere in a text, given by its characters.
 *
 * All places where a match may stand are followed at once. Engines that try one after the other can take exponential time, and who
 * sends a schema chooses both expression and text.
 */
export function isFoundIn(characters: readonly string[], regex: Regex, spend: Spend): boolean {
  const codePoints = characters.map((character) => character.codePointAt(0)!);
  const everywhere = new Set(Array.from({ length: codePoints.length + 1 }, (_, place) => place));
  return after(regex, everywhere, codePoints, spend).size > 0;
}

/** The places where a match can end that begins at one of those. */
function after(
  regex: Regex,
  places: ReadonlySet<number>,
  text: readonly number[],
  spend: Spend,
): ReadonlySet<number> {
  spend(1 + places.size);
  switch (regex.kind) {
    case 'start':
      return new Set(places.has(0) ? [0] : []);
    case 'end':
      return new Set(places.has(text.length) ? [text.length] : []);
    case 'set': {
      spend(places.size * regex.set.length);
      const matching = [...places].filter(
        (place) => place < text.length && includes(regex.set, text[place]!),
      );
      return new Set(matching.map((place) => place + 1));
    }
    case 'sequence':
      return regex.items.reduce((from, item) => after(item, from, text, spend), places);
    case 'choice':
      return new Set(regex.items.flatMap((item) => [...after(item, places, text, spend)]));
    case 'repeat': {
      let current = places;
      for (let times = 0; times < regex.min && current.size > 0; times++)
        current = after(regex.item, current, text, spend);
      const reached = new Set(current);
      for (let times = regex.min; times < regex.max && current.size > 0; times++) {
        const next = after(regex.item, current, text, spend);
        current = new Set([...next].filter((place) => !reached.has(place)));
        for (const place of current) reached.add(place);
      }
      return reached;
    }
  }
}
