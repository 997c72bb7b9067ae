/** Sorted, disjoint, inclusive ranges of code points. */
export type CodePoints = readonly (readonly [from: number, to: number])[];

/** With the surrogates, which no text in UTF-8 holds: nobody can tell. */
export const ANY: CodePoints = [[0, 0x10ffff]];

const BEYOND_ASCII: CodePoints = [[0x80, 0x10ffff]];

/** More characters beyond ASCII than this are not listed one by one. */
const MOST_LISTED = 512;

export function union(...sets: readonly CodePoints[]): CodePoints {
  const ranges = sets.flat().sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** What is in `set` and not in `removed`. */
export function without(set: CodePoints, removed: CodePoints): CodePoints {
  let rest: (readonly [number, number])[] = [...set];
  for (const [from, to] of removed)
    rest = rest.flatMap(([a, b]) => {
      if (b < from || a > to) return [[a, b]] as const;
      const pieces: (readonly [number, number])[] = [];
      if (a < from) pieces.push([a, from - 1]);
      if (b > to) pieces.push([to + 1, b]);
      return pieces;
    });
  return rest;
}

export function includes(set: CodePoints, codePoint: number): boolean {
  return set.some(([from, to]) => codePoint >= from && codePoint <= to);
}

export function countOf(set: CodePoints): number {
  return set.reduce((sum, [from, to]) => sum + to - from + 1, 0);
}

/**
 * A set as an expression of the grammar's notation, if it can be written; `exact` false: or else its ASCII part.
 *
 * The WebAssembly build of xgrammar misreads classes that list characters beyond ASCII: it takes others for them. It
 * is right about classes that only exclude ASCII, and about literals. So a set may have everything beyond ASCII, or
 * a few characters of it.
 */
export function setText(set: CodePoints, exact: boolean): string | undefined {
  const beyond = without(set, [[0, 0x7f]]);
  const ascii = without(set, BEYOND_ASCII);
  const plain = ascii.length > 0 ? [`[${ranges(ascii)}]`] : [];
  const count = countOf(beyond);
  if (count === 0) return plain[0];
  const excluded = without([[0, 0x7f]], ascii);
  // An empty class of excluded characters is no expression; no text has a null character.
  if (count === 0x10ffff - 0x7f) return `[^${excluded.length === 0 ? '\\0' : ranges(excluded)}]`;
  if (count > MOST_LISTED) return exact ? undefined : plain[0];
  const listed = beyond.flatMap(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, i) => `"${escaped(from + i)}"`),
  );
  return `(${[...plain, ...listed].join(' | ')})`;
}

function ranges(set: CodePoints): string {
  return `${set.map(([from, to]) => (from === to ? escaped(from) : `${escaped(from)}-${escaped(to)}`)).join('')}`;
}

function escaped(codePoint: number): string {
  return `\\U${codePoint.toString(16).padStart(8, '0')}`;
}

/** A text as a literal of the grammar's notation; nothing in it can end the literal. */
export function literal(text: string): string {
  let out = '"';
  for (const character of text) {
    const isPlain = /^[A-Za-z0-9 _.,:;<>/{}()|+*?=!@#$%&~^'[\]-]$/.test(character);
    out += isPlain ? character : escaped(character.codePointAt(0)!);
  }
  return `${out}"`;
}
