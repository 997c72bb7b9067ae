import { type CodePoints, includes, setText, without } from './code-points.ts';
import { GrammarError } from './grammar-error.ts';
import type { Regex } from './regex.ts';
import { NEEDS_ESCAPE, wholeTexts } from './regex-grammar.ts';
import type { AddRule } from './rules.ts';

/** Of an expression's automaton, and of both together. */
const MOST_STATES = 3_000;

/**
 * Strings that two expressions both match, between the quotes of a JSON string, without characters that need an escape there: a rule
 * for each state of the automaton that follows both at once, which goes one way only for every character.
 */
export function intersection(a: Regex, b: Regex, addRule: AddRule): string {
  const states = statesOfBoth(new Automaton(a), new Automaton(b));
  const alive = aliveOf(states);
  if (!alive.has(0)) throw new GrammarError('has a `pattern` that no text of its `format` fits');
  const names = new Map<number, string>();
  const nameOf = (index: number): string =>
    names.get(index) ??
    addRule((name) => {
      names.set(index, name);
      const { steps, isEnd } = states[index]!;
      const ways = steps.filter(({ to }) => alive.has(to)).map(({ text, to }) => `${text} ${nameOf(to)}`);
      return [...ways, ...(isEnd ? ['""'] : [])].join(' | ');
    });
  return nameOf(0);
}

/** By Thompson's construction (1968): states with steps on a character, and ways to others without one. */
class Automaton {
  readonly steps: { readonly set: CodePoints; readonly to: number }[][] = [];
  readonly start: readonly number[];
  readonly #ways: number[][] = [];
  readonly #end: number;

  constructor(regex: Regex) {
    const first = this.#state();
    this.#end = this.#add(wholeTexts(regex, 'json'), first);
    this.start = this.closure([first]);
  }

  isEnd(states: readonly number[]): boolean {
    return states.includes(this.#end);
  }

  /** With all that is reached without a character, in order. */
  closure(states: readonly number[]): readonly number[] {
    const reached = new Set(states);
    for (const state of reached) for (const to of this.#ways[state]!) reached.add(to);
    return [...reached].sort((x, y) => x - y);
  }

  /** Where the character leads. */
  after(states: readonly number[], codePoint: number): readonly number[] {
    const next = states.flatMap((state) =>
      this.steps[state]!.filter(({ set }) => includes(set, codePoint)).map(({ to }) => to),
    );
    return this.closure(next);
  }

  #state(): number {
    if (this.steps.length >= MOST_STATES) throw tooLarge();
    this.#ways.push([]);
    return this.steps.push([]) - 1;
  }

  /** Returns the state behind it. */
  #add(regex: Regex, from: number): number {
    switch (regex.kind) {
      case 'set': {
        const to = this.#state();
        this.steps[from]!.push({ set: regex.set, to });
        return to;
      }
      case 'sequence':
        return regex.items.reduce((state, item) => this.#add(item, state), from);
      case 'choice': {
        const ends = regex.items.map((item) => this.#add(item, this.#wayFrom(from)));
        const to = this.#state();
        for (const end of ends) this.#ways[end]!.push(to);
        return to;
      }
      case 'repeat': {
        let state = from;
        for (let times = 0; times < regex.min; times++) state = this.#add(regex.item, state);
        const to = this.#state();
        this.#ways[state]!.push(to);
        if (regex.max === Number.POSITIVE_INFINITY) {
          this.#ways[this.#add(regex.item, this.#wayFrom(to))]!.push(to);
          return to;
        }
        for (let times = regex.min; times < regex.max; times++) {
          state = this.#add(regex.item, state);
          this.#ways[state]!.push(to);
        }
        return to;
      }
      default:
        throw new GrammarError('has a pattern with ^ or $ in its middle, which is not supported');
    }
  }

  #wayFrom(from: number): number {
    const to = this.#state();
    this.#ways[from]!.push(to);
    return to;
  }
}

interface State {
  readonly steps: { readonly text: string; readonly to: number }[];
  readonly isEnd: boolean;
}

/** The first is where texts begin. */
function statesOfBoth(a: Automaton, b: Automaton): readonly State[] {
  const states: State[] = [];
  const inBoth: (readonly [readonly number[], readonly number[]])[] = [];
  const indexes = new Map<string, number>();
  const indexOf = (ofA: readonly number[], ofB: readonly number[]): number => {
    const key = `${ofA} ${ofB}`;
    const known = indexes.get(key);
    if (known !== undefined) return known;
    if (states.length >= MOST_STATES) throw tooLarge();
    indexes.set(key, states.length);
    inBoth.push([ofA, ofB]);
    return states.push({ steps: [], isEnd: a.isEnd(ofA) && b.isEnd(ofB) }) - 1;
  };
  indexOf(a.start, b.start);
  for (let index = 0; index < states.length; index++) {
    const [ofA, ofB] = inBoth[index]!;
    const byTarget = new Map<number, (readonly [number, number])[]>();
    for (const [from, to] of alikeRanges([
      ...ofA.flatMap((s) => a.steps[s]!),
      ...ofB.flatMap((s) => b.steps[s]!),
    ])) {
      const [nextA, nextB] = [a.after(ofA, from), b.after(ofB, from)];
      if (nextA.length === 0 || nextB.length === 0) continue;
      const target = indexOf(nextA, nextB);
      byTarget.set(target, [...(byTarget.get(target) ?? []), [from, to]]);
    }
    for (const [to, set] of byTarget) {
      const text = setText(without(set, NEEDS_ESCAPE), false);
      if (text !== undefined) states[index]!.steps.push({ text, to });
    }
  }
  return states;
}

/** Ranges of code points that no set tells apart. */
function alikeRanges(steps: readonly { readonly set: CodePoints }[]): readonly (readonly [number, number])[] {
  const starts = new Set(steps.flatMap(({ set }) => set.flatMap(([from, to]) => [from, to + 1])));
  const sorted = [...starts].sort((x, y) => x - y);
  return sorted.slice(1).map((end, i) => [sorted[i]!, end - 1] as const);
}

/** Those from which a text can end. */
function aliveOf(states: readonly State[]): ReadonlySet<number> {
  const cameFrom = states.map((): number[] => []);
  for (const [index, { steps }] of states.entries()) for (const { to } of steps) cameFrom[to]!.push(index);
  const alive = new Set([...states.keys()].filter((index) => states[index]!.isEnd));
  for (const index of alive) for (const from of cameFrom[index]!) alive.add(from);
  return alive;
}

function tooLarge(): GrammarError {
  return new GrammarError('uses `format` beside so large a `pattern`, which is not supported');
}
