import { literal } from './code-points.ts';
import type { AddRule } from './rules.ts';

/**
 * One of several texts, as a tree of their beginnings. Written one beside the other xgrammar lets wrong texts through as soon as some begin
 * like others: it takes the end of one for the end of another.
 */
export function textList(texts: readonly string[], addRule: AddRule): string {
  const [only, ...others] = new Set(texts);
  if (only !== undefined && others.length === 0) return literal(only);
  return branches([...new Set(texts)], addRule);
}

function branches(texts: readonly string[], addRule: AddRule): string {
  const byFirst = Map.groupBy(texts, firstOf);
  return addRule(() =>
    [...byFirst].map(([first, some]) => (first === '' ? '""' : branch(some, addRule))).join(' | '),
  );
}

/** Texts that begin with the same character. */
function branch(texts: readonly string[], addRule: AddRule): string {
  const shared = sharedBeginning(texts);
  if (texts.length === 1) return literal(shared);
  return `${literal(shared)} ${branches(
    texts.map((text) => text.slice(shared.length)),
    addRule,
  )}`;
}

function sharedBeginning(texts: readonly string[]): string {
  const [text = '', ...others] = texts;
  let shared = '';
  for (const character of text) {
    const longer = shared + character;
    if (!others.every((other) => other.startsWith(character, shared.length))) break;
    shared = longer;
  }
  return shared;
}

/** A whole character, which may be two units of a string; empty at its end. */
function firstOf(text: string): string {
  const codePoint = text.codePointAt(0);
  return codePoint === undefined ? '' : String.fromCodePoint(codePoint);
}
