import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BYTE_VOCABULARY, END } from '../../test/byte-vocabulary.ts';
import { JsonGrammar } from './json-grammar.ts';
import { JsonScanner, longestTail, plainLead } from './json-scanner.ts';
import { LimitedMatcher, TokenLengths } from './limited-matcher.ts';
import { Rules } from './rules.ts';
import { StringLimits } from './string-limits.ts';
import { TokenGrammars } from './token-grammars.ts';
import { createXgrammar } from './xgrammar.ts';

const bytes = (text: string) => Buffer.from(text);

test('a scanner knows in which property it is, and how far in its string', () => {
  const value = fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme-composite' });
  fc.assert(
    fc.property(value, fc.string({ unit: 'binary' }), (before, name) => {
      const scanner = new JsonScanner();
      scanner.push(bytes(`<call>\n${JSON.stringify([before, { x: before }]).slice(0, -1)}, {"a": 1, `));
      scanner.push(bytes(JSON.stringify(name.toWellFormed())));
      expect(scanner.inString).toBeUndefined();
      scanner.push(bytes(': [0, "q", "'));
      expect(scanner.inString).toEqual({ property: name.toWellFormed(), characters: 0 });
      scanner.push(bytes('é\\n\\"\\u00e9😀'));
      expect(scanner.inString?.characters).toBe(5);
      expect(scanner.isBetweenCharacters).toBe(true);
      scanner.push(bytes('\\u00'));
      expect(scanner.isBetweenCharacters).toBe(false);
      expect(scanner.lead(bytes('e9ab"c'))).toBe(2);
      scanner.push(bytes('e9"'));
      expect(scanner.inString).toBeUndefined();
    }),
    { numRuns: 50 },
  );
  expect([plainLead(bytes('ab"cd')), plainLead(bytes('\\"x')), longestTail(bytes('a", "long'))]).toEqual([
    2, 2, 4,
  ]);
});

test('strings end where they have to, and where the grammar lets them', async () => {
  const grammars = new TokenGrammars(await createXgrammar(() => {}), BYTE_VOCABULARY);
  const rules = new Rules();
  const limits = new StringLimits();
  const schema = {
    type: 'object',
    properties: { a: { type: 'string', minLength: 18, maxLength: 20 }, b: { type: 'string' } },
    required: ['a', 'b'],
  };
  const grammar = grammars.compile(rules.withRoot(new JsonGrammar(rules, limits).add(schema)));
  expect([limits.of('a'), limits.of('b'), limits.isContradictory]).toEqual([
    20,
    Number.POSITIVE_INFINITY,
    false,
  ]);
  const lengths = new TokenLengths(BYTE_VOCABULARY.tokens);
  const accepts = (text: string): boolean => {
    const matcher = new LimitedMatcher(grammar.matcher(), limits, lengths);
    const isAllowed = bytes(text).every((byte) => {
      const allowed = ((matcher.mask[byte >> 5]! >>> (byte & 31)) & 1) === 1;
      return allowed && matcher.accept(byte);
    });
    const mayEnd = ((matcher.mask[END >> 5]! >>> (END & 31)) & 1) === 1;
    matcher.dispose();
    return isAllowed && mayEnd;
  };
  for (let length = 16; length < 24; length++)
    for (const character of ['x', 'é', '\\"'])
      expect(accepts(`{"a": "${'x'.repeat(length - 1)}${character}", "b": "${'y'.repeat(50)}"}`)).toBe(
        // Characters that have to be there are written as they are.
        length >= 18 && length <= 20 && !(length === 18 && character === '\\"'),
      );
});

test('limits that would cut what has to be longer contradict one another', () => {
  const text = (maxLength: number) => ({ type: 'string', maxLength });
  const contradictory = (properties: object) => {
    const limits = new StringLimits();
    new JsonGrammar(new Rules(), limits).add({ type: 'object', properties });
    return limits.isContradictory;
  };
  const uuid = { type: 'string', format: 'uuid' };
  expect(contradictory({ a: text(20), b: uuid, c: { enum: ['x'.repeat(30)] } })).toBe(false);
  expect(contradictory({ a: text(20), b: { type: 'object', properties: { a: uuid } } })).toBe(true);
  expect(contradictory({ a: text(40), b: { type: 'object', properties: { a: uuid } } })).toBe(false);
  expect(contradictory({ a: { type: 'object', additionalProperties: text(20) }, b: uuid })).toBe(true);
});
