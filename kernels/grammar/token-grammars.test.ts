import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { BYTE_VOCABULARY, END } from '../../test/byte-vocabulary.ts';
import { JsonGrammar } from './json-grammar.ts';
import type { Schema } from './json-schema.ts';
import { Rules } from './rules.ts';
import { checkedGrammar, choiceText, regexText } from './text-grammar.ts';
import { type CompiledGrammar, TokenGrammars } from './token-grammars.ts';
import { createXgrammar } from './xgrammar.ts';

let grammars: TokenGrammars;
beforeAll(async () => {
  grammars = new TokenGrammars(await createXgrammar(() => {}), BYTE_VOCABULARY);
});

/** Whether it allows the text, and lets it end there. */
function accepts(grammar: CompiledGrammar, text: string): boolean {
  const matcher = grammar.matcher();
  const isAllowed = Buffer.from(text).every((byte) => matcher.accept(byte)) && matcher.mayEnd;
  matcher.dispose();
  return isAllowed;
}

function ofSchema(schema: Schema): CompiledGrammar {
  const rules = new Rules();
  return grammars.compile(rules.withRoot(new JsonGrammar(rules).add(schema)));
}

describe('a matcher', () => {
  test('allows what may come next, ends where it may, and knows when it must', () => {
    const matcher = grammars.compile('root ::= "ab" "c"?').matcher();
    const allowed = () =>
      Array.from({ length: BYTE_VOCABULARY.logits }, (_, id) => id).filter((id) => matcher.allows(id));
    expect(allowed()).toEqual([0x61]);
    expect(matcher.accept(0x62)).toBe(false);
    expect(matcher.accept(0x61)).toBe(true);
    expect([matcher.mayEnd, matcher.mustEnd]).toEqual([false, false]);
    matcher.accept(0x62);
    expect(allowed()).toEqual([0x63, END]);
    expect([matcher.mayEnd, matcher.mustEnd]).toEqual([true, false]);
    expect(matcher.accept(END)).toBe(false);
    matcher.accept(0x63);
    expect(allowed()).toEqual([END]);
    expect(matcher.mustEnd).toBe(true);
    matcher.dispose();
    matcher.dispose();
    expect(matcher.accept(0x61)).toBe(false);
  });

  test('goes its own way beside others of the same grammar', () => {
    const grammar = grammars.compile('root ::= "a" | "bc"');
    const [one, other] = [grammar.matcher(), grammar.matcher()];
    one.accept(0x61);
    grammar.dispose();
    expect(one.mustEnd).toBe(true);
    expect(other.accept(0x62)).toBe(true);
    for (const matcher of [one, other]) matcher.dispose();
  });
});

const whole = fc.integer({ min: -3_000, max: 3_000 });

describe('numbers', () => {
  test('are allowed exactly within the bounds of an integer schema', () => {
    const bounds = fc.record({ minimum: whole, width: fc.nat(400), exclusive: fc.boolean() });
    fc.assert(
      fc.property(
        bounds,
        fc.array(fc.nat(500), { minLength: 10, maxLength: 10 }),
        ({ minimum, width, exclusive }, offsets) => {
          const maximum = minimum + width + 2;
          const grammar = ofSchema(
            exclusive
              ? { type: 'integer', exclusiveMinimum: minimum, exclusiveMaximum: maximum }
              : { type: 'integer', minimum, maximum },
          );
          for (const offset of [-1, 0, 1, width + 1, width + 2, width + 3, ...offsets]) {
            const value = minimum + offset;
            const inside = exclusive
              ? value > minimum && value < maximum
              : value >= minimum && value <= maximum;
            expect([value, accepts(grammar, String(value))]).toEqual([value, inside]);
            expect(accepts(grammar, `0${value}`)).toBe(false);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test('with a point are allowed only within the bounds', () => {
    const bounds = fc.record({
      from: whole,
      width: fc.integer({ min: 1, max: 900 }),
      scale: fc.constantFrom(1, 8, 64, 1_000),
    });
    fc.assert(
      fc.property(
        bounds,
        fc.array(fc.integer({ min: -50, max: 150 }), { minLength: 20 }),
        ({ from, width, scale }, percents) => {
          const [minimum, maximum] = [from / scale, (from + width) / scale];
          const grammar = ofSchema({ type: 'number', minimum, maximum });
          let allowed = 0;
          for (const percent of percents)
            for (const digits of [0, 1, 2, 3, 4]) {
              const text = (minimum + ((maximum - minimum) * percent) / 100).toFixed(digits);
              if (!accepts(grammar, text)) continue;
              allowed++;
              expect(Number(text)).toBeGreaterThanOrEqual(minimum);
              expect(Number(text)).toBeLessThanOrEqual(maximum);
            }
          if (percents.some((p) => p > 10 && p < 90) && width / scale > 1) expect(allowed).toBeGreaterThan(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('of a pattern and a format fit both', () => {
    const both = (pattern: string, format: string) => ofSchema({ type: 'string', pattern, format });
    const inMay = both('^20\\d\\d-05', 'date');
    expect(accepts(inMay, '"2024-05-06"')).toBe(true);
    expect(accepts(inMay, '"2024-06-05"')).toBe(false);
    expect(accepts(inMay, '"2024-05-06 "')).toBe(false);
    // Found anywhere, and alternatives that begin alike.
    const atHome = both('home|@home\\.', 'email');
    expect(accepts(atHome, '"me@home.org"')).toBe(true);
    expect(accepts(atHome, '"home@work.org"')).toBe(true);
    expect(accepts(atHome, '"me@work.org"')).toBe(false);
    // As zod writes it.
    const time = '^\\d{4}-\\d{2}-\\d{2}T(?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d+)?)?(?:Z)$';
    expect(accepts(both(time, 'date-time'), '"2024-05-06T07:08:09Z"')).toBe(true);
    expect(accepts(both(time, 'date-time'), '"2024-05-06T07:08Z"')).toBe(false);
    expect(() => both('^[a-z]+$', 'date')).toThrow('no text of its `format`');
    // What cannot be told of leaves the format.
    expect(accepts(both('^(?!1)', 'date'), '"2024-05-06"')).toBe(true);
  });

  test('of a format of whole numbers are within its range', () => {
    for (const type of ['integer', 'number', undefined]) {
      const grammar = ofSchema({ ...(type === undefined ? {} : { type }), format: 'int32', minimum: -5e9 });
      for (const text of ['2147483647', '-2147483648', '0']) expect(accepts(grammar, text)).toBe(true);
      for (const text of ['2147483648', '-2147483649', '1.5']) expect(accepts(grammar, text)).toBe(false);
    }
    expect(accepts(ofSchema({ type: 'number', format: 'int64' }), '0.5')).toBe(false);
  });

  test('are never so large that they are read as infinite, nor written in a way that JSON has not', () => {
    const grammar = ofSchema({ type: 'number' });
    for (const text of ['1e99', '-0.5', '0', '12.5E-3', '999999999999999'])
      expect(accepts(grammar, text)).toBe(true);
    for (const text of ['1e400', '01', '.5', '1.', '+1', '0x1', 'NaN', ''])
      expect(accepts(grammar, text)).toBe(false);
  });
});

describe('strings', () => {
  test('hold anything that JSON allows between quotes', () => {
    const grammar = ofSchema({ type: 'string' });
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
        // Not every escape that a writer may choose, but those of JSON.stringify.
        expect(accepts(grammar, JSON.stringify(text.toWellFormed()))).toBe(true);
      }),
    );
    for (const text of ['"a\nb"', '"a', 'a"', '"\\x"', '"""']) expect(accepts(grammar, text)).toBe(false);
  });

  test('have so many characters, not bytes', () => {
    const grammar = ofSchema({ type: 'string', minLength: 2, maxLength: 3 });
    for (const [text, length] of [
      ['é', 1],
      ['日本', 2],
      ['😀é😀', 3],
      ['😀😀😀😀', 4],
    ] as const)
      expect(accepts(grammar, `"${text}"`)).toBe(length >= 2 && length <= 3);
  });
});

test('objects keep to the order of their properties, with any of the optional ones left out', () => {
  const names = ['a', 'b', 'c', 'd'];
  const grammar = ofSchema({
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, { const: 1 }])),
    required: ['b'],
  });
  for (let bits = 0; bits < 16; bits++) {
    const some = names.filter((_, i) => (bits >> i) & 1);
    const text = `{${some.map((name) => `"${name}": 1`).join(', ')}}`;
    expect([text, accepts(grammar, text)]).toEqual([text, some.includes('b')]);
  }
  for (const text of [
    '{"b": 1, "a": 1}',
    '{"b": 1, "b": 1}',
    '{"b": 1, "x": 1}',
    '{"b":1}',
    '{"b": 1,}',
    '{ "b": 1}',
  ])
    expect(accepts(grammar, text)).toBe(false);
});

describe('texts', () => {
  test('of choices may hold anything', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
        (given) => {
          const choices = given.map((choice) => choice.toWellFormed().replaceAll('\0', '0'));
          const rules = new Rules();
          const grammar = grammars.compile(rules.withRoot(choiceText(choices, rules)));
          for (const choice of choices) expect(accepts(grammar, choice)).toBe(true);
          expect(accepts(grammar, `${choices[0]}!`)).toBe(choices.includes(`${choices[0]}!`));
        },
      ),
      { numRuns: 50 },
    );
  });

  test.each([
    ['words that begin others', 62, (i: number) => (i + 2).toString(2).slice(1)],
    ['a thousand numbers', 1_000, (i: number) => String((i * 7_919) % 99_991)],
    ['numbers with decimals', 1_000, (i: number) => String(((i * 7_919) % 10_007) / 100 - 30)],
  ])('of a list are those and no others: %s', (_, count, text) => {
    const listed = Array.from({ length: count }, (_, i) => text(i));
    const rules = new Rules();
    const grammar = grammars.compile(rules.withRoot(choiceText(listed, rules)));
    const all = new Set(listed);
    for (const each of listed)
      for (const probe of [each, each.slice(0, -1), `${each}0`, `${each}1`, `${each}.5`, each + each])
        expect([probe, accepts(grammar, probe)]).toEqual([probe, all.has(probe)]);
  });

  test.each([
    '(a|bc)*d',
    '[^a]+',
    'é{1,2}',
    '[a-cé]?x',
    '\\d+(\\.\\d+)?',
    '(foo|ba[rz]){2}',
    '[^é]b',
    'a*b*c+',
  ])('of the expression %s match it', (pattern) => {
    const rules = new Rules();
    const grammar = grammars.compile(rules.withRoot(regexText(pattern, rules)));
    const language = new RegExp(`^(?:${pattern})$`, 'u');
    const unit = fc.constantFrom(...'abcdxzfor12.é'.split(''));
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 7 }), (text) => {
        const isAccepted = accepts(grammar, text);
        // A class that excludes some of what is beyond ASCII allows nothing of that.
        if (pattern === '[^é]b' && /[^\0-\x7f]/.test(text)) expect(isAccepted).toBe(false);
        else expect(isAccepted).toBe(language.test(text));
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['(bar|ba){1,3}', ['ba', 'bar', 'barba', 'baba'], ['barr', 'bar r', 'barrba']],
    ['(foo|ba[rz]|ba){2}', ['foobaz', 'baba', 'bazba'], ['bazr', 'bazrfoo', 'foo']],
    ['(ca|ab[bc]|ab){1,4}', ['abcab', 'abca'], ['abcb', 'cacbabcb']],
  ])('of the alternatives %s, repeated, match it where one begins like another', (pattern, right, wrong) => {
    const rules = new Rules();
    const grammar = grammars.compile(rules.withRoot(regexText(pattern, rules)));
    for (const text of right) expect([text, accepts(grammar, text)]).toEqual([text, true]);
    for (const text of wrong) expect([text, accepts(grammar, text)]).toEqual([text, false]);
  });

  test('of a grammar with classes that the library would misread are refused', () => {
    for (const text of ['root ::= [а-я]', 'root ::= [\\u0430-\\u044f]', 'root ::= [a\\xe9]', 'root ::= [^é]'])
      expect(() => checkedGrammar(text)).toThrow('beyond ASCII');
    for (const text of ['root ::= [a-z] "я[а]"', 'root ::= [\\u0041-\\u005a]', 'root ::= [^"]'])
      expect(checkedGrammar(text)).toBe(text);
    expect(() => checkedGrammar('start ::= "a"')).toThrow('root');
  });
});
