import { ANY, type CodePoints, countOf, includes, literal, setText, without } from './code-points.ts';
import { GrammarError } from './grammar-error.ts';
import type { Regex } from './regex.ts';
import type { AddRule } from './rules.ts';

/** Where the text stands: by itself, or between the quotes of a JSON string. */
export type TextContext = 'plain' | 'json';

/** Not allowed as they are between the quotes of a JSON string. */
export const NEEDS_ESCAPE: CodePoints = [
  [0x00, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
];
const SHORT_ESCAPES = new Map([
  [0x22, '\\"'],
  [0x5c, '\\\\'],
  [0x08, '\\b'],
  [0x0c, '\\f'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
]);

/** A set as large as this was not meant character by character: what would need an escape is left out of it. */
const MOST_EXPLICIT = 256;

/** One character of a JSON string as it is. */
export const JSON_CHARACTER = setText(without(ANY, NEEDS_ESCAPE), true)!;

/**
 * The expression, in the grammar's notation, for texts that match as a whole. With `search`, where an end is not
 * anchored anything may stand there, as JSON Schema has it; without, the anchors mean nothing.
 */
export function regexGrammar(regex: Regex, context: TextContext, search: boolean, addRule: AddRule): string {
  return writeChoice(alternativesOf(regex, context, search), context, addRule);
}

/** An expression for all texts that are matched somewhere, which has no anchors. */
export function wholeTexts(regex: Regex, context: TextContext): Regex {
  const items = alternativesOf(regex, context, true).map(
    (steps): Regex => ({ kind: 'sequence', items: steps }),
  );
  return { kind: 'choice', items };
}

function alternativesOf(regex: Regex, context: TextContext, search: boolean): readonly (readonly Regex[])[] {
  const alternatives = regex.kind === 'choice' ? regex.items : [regex];
  return alternatives.map((alternative) => anchored(alternative, context, search));
}

/** The steps of an alternative, with what may stand around it. */
function anchored(alternative: Regex, context: TextContext, search: boolean): readonly Regex[] {
  let items = stepsOf(alternative);
  const from = items.findIndex((item) => item.kind !== 'start');
  const hasStart = from !== 0 && items.length > 0;
  items = from < 0 ? [] : items.slice(from);
  const last = items.findLastIndex((item) => item.kind !== 'end');
  const hasEnd = last < items.length - 1;
  const set = context === 'json' ? without(ANY, NEEDS_ESCAPE) : ANY;
  const anything: Regex = {
    kind: 'repeat',
    item: { kind: 'set', set, explicit: false },
    min: 0,
    max: Number.POSITIVE_INFINITY,
  };
  return [
    ...(search && !hasStart ? [anything] : []),
    ...items.slice(0, last + 1),
    ...(search && !hasEnd ? [anything] : []),
  ];
}

function stepsOf(regex: Regex): readonly Regex[] {
  return regex.kind === 'sequence' ? regex.items.flatMap(stepsOf) : [regex];
}

/** Whether no text may stand before or behind a match. */
export function isAnchored(regex: Regex): boolean {
  const alternatives = regex.kind === 'choice' ? regex.items : [regex];
  return alternatives.every((alternative) => {
    const items = alternative.kind === 'sequence' ? alternative.items : [alternative];
    return items[0]?.kind === 'start' && items.at(-1)?.kind === 'end';
  });
}

function write(regex: Regex, context: TextContext, addRule: AddRule): string {
  switch (regex.kind) {
    case 'set':
      return context === 'plain' ? plainSet(regex) : jsonSet(regex);
    case 'sequence':
      return writeSteps(stepsOf(regex), context, addRule);
    case 'choice':
      return writeChoice(optionsOf(regex), context, addRule);
    case 'repeat':
      return repeated(write(regex.item, context, addRule), regex.min, regex.max, addRule);
    default:
      throw new GrammarError('has a pattern with ^ or $ in its middle, which is not supported');
  }
}

/** The steps of each of several alternatives, also of those that stand alone in one. */
function optionsOf(regex: Regex): readonly (readonly Regex[])[] {
  if (regex.kind === 'choice') return regex.items.flatMap(optionsOf);
  const steps = stepsOf(regex);
  const [only] = steps;
  return steps.length === 1 && only?.kind === 'choice' ? optionsOf(only) : [steps];
}

/**
 * Alternatives that begin alike share their beginning: where one of them goes on behind the end of another, xgrammar lets wrong texts
 * through (see text-list.ts).
 */
function writeChoice(options: readonly (readonly Regex[])[], context: TextContext, addRule: AddRule): string {
  const byFirst = Map.groupBy(options, ([first]) => (first === undefined ? '' : JSON.stringify(first)));
  return [...byFirst.values()]
    .map(([option = [], ...others]) => {
      const [first, ...rest] = option;
      if (first === undefined || others.length === 0) return writeSteps(option, context, addRule);
      const rests = writeChoice([rest, ...others.map((other) => other.slice(1))], context, addRule);
      return `${writeSteps([first], context, addRule)} (${rests})`;
    })
    .join(' | ');
}

function writeSteps(steps: readonly Regex[], context: TextContext, addRule: AddRule): string {
  if (steps.length === 0) return '""';
  return steps.map((step) => group(write(step, context, addRule), step)).join(' ');
}

function group(text: string, regex: Regex): string {
  return regex.kind === 'choice' ? `(${text})` : text;
}

/**
 * An expression so many times over. Without an upper bound it becomes a rule that goes on with itself: a star over
 * anything but a character class takes longer with every repetition.
 */
export function repeated(text: string, min: number, max: number, addRule: AddRule): string {
  const isClass = /^\[[^\]]*\]$/.test(text);
  if (isClass || max !== Number.POSITIVE_INFINITY) return `${isClass ? text : `(${text})`}${count(min, max)}`;
  // A name, as it is written twice: nested, that would be twice to the power of the levels.
  const item = min === 0 ? `(${text})` : addRule(() => text);
  const rest = addRule((name) => `"" | ${item} ${name}`);
  return min === 0 ? rest : `${min === 1 ? item : `${item}{${min}}`} ${rest}`;
}

/** `{min,max}` in the grammar's notation. */
function count(min: number, max: number): string {
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  return min === 0 && max === 1 ? '?' : `{${min},${max}}`;
}

type SetRegex = Extract<Regex, { kind: 'set' }>;

function plainSet({ set, explicit }: SetRegex): string {
  const text = setText(set, explicit);
  if (text === undefined) throw unwritable(set);
  return text;
}

function jsonSet({ set, explicit }: SetRegex): string {
  const raw = setText(without(set, NEEDS_ESCAPE), explicit);
  if (raw === undefined && countOf(set) > MOST_EXPLICIT) throw unwritable(set);
  const escapes =
    explicit && countOf(set) <= MOST_EXPLICIT
      ? [...SHORT_ESCAPES].filter(([codePoint]) => includes(set, codePoint)).map(([, text]) => literal(text))
      : [];
  const options = [...(raw === undefined ? [] : [raw]), ...escapes];
  if (options.length === 0) throw unwritable([]);
  return options.length === 1 ? options[0]! : `(${options.join(' | ')})`;
}

function unwritable(set: CodePoints): GrammarError {
  return new GrammarError(
    set.length === 0
      ? 'has a pattern that nothing can match'
      : 'has a pattern with a large range of characters beyond ASCII, which is not supported',
  );
}

/** Fewest and most characters of a text that matches, anchors aside. */
export function lengthsOf(regex: Regex): { readonly min: number; readonly max: number } {
  switch (regex.kind) {
    case 'set':
      return { min: 1, max: 1 };
    case 'sequence':
      return regex.items.map(lengthsOf).reduce((a, b) => ({ min: a.min + b.min, max: a.max + b.max }), {
        min: 0,
        max: 0,
      });
    case 'choice': {
      const lengths = regex.items.map(lengthsOf);
      return { min: Math.min(...lengths.map((l) => l.min)), max: Math.max(...lengths.map((l) => l.max)) };
    }
    case 'repeat': {
      const { min, max } = lengthsOf(regex.item);
      return { min: min * regex.min, max: max === 0 ? 0 : max * regex.max };
    }
    default:
      return { min: 0, max: 0 };
  }
}
