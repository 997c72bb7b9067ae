/** A reply or a chunk of one, parsed; nothing about it is certain. */
export type Wire = Readonly<Record<string, unknown>>;

export function asWire(value: unknown): Wire {
  return isWire(value) ? value : {};
}

function isWire(value: unknown): value is Wire {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined: it is no JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Where one of them is no object, there are none: clients look into each. */
export function choicesOf({ choices }: Wire): readonly Wire[] {
  return Array.isArray(choices) && choices.every(isWire) ? choices : [];
}

/** What a reply to texts has that were only read: embeddings, classes, or a ranking. */
export function hasResults(wire: Wire): boolean {
  return Array.isArray(wire.data) || Array.isArray(wire.results);
}

/** Choices are numbered from 0; a server that makes only one may leave the number out. */
export function indexOf(choice: Wire): number {
  return typeof choice.index === 'number' ? choice.index : 0;
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0;
}
