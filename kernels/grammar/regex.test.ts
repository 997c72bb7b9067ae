import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRegex, type Regex } from './regex.ts';
import { isAnchored, lengthsOf, regexGrammar } from './regex-grammar.ts';
import { Rules } from './rules.ts';

/** Writes the tree back as an expression of the language. */
function back(regex: Regex): string {
  switch (regex.kind) {
    case 'set':
      return `[${regex.set.map(([from, to]) => `${hex(from)}-${hex(to)}`).join('')}]`;
    case 'sequence':
      return regex.items.map((item) => `(?:${back(item)})`).join('');
    case 'choice':
      return regex.items.map((item) => `(?:${back(item)})`).join('|');
    case 'repeat':
      return `(?:${back(regex.item)}){${regex.min},${Number.isFinite(regex.max) ? regex.max : ''}}`;
    case 'start':
      return '^';
    case 'end':
      return '$';
  }
}

const hex = (codePoint: number) => `\\u{${codePoint.toString(16)}}`;

describe('an expression', () => {
  test.each([
    'abc',
    'a|b|',
    '(a(b|c)+d?){2,3}',
    '[^a-c\\d]*x',
    '\\w+@\\w+\\.com',
    '^\\s*[-+]?\\d+$',
    'é|😀|[а-я]',
    '\\u00e9\\x41\\u{1F600}\\uD83D\\uDE00',
    '[\\]\\-a\\b-]',
    'a{2}b{,3}{',
    '(?<year>\\d{4})-(?:x|y)??z*?',
    '.\\.',
  ])('%s reads as the language reads it', (pattern) => {
    const ours = new RegExp(`^(?:${back(parseRegex(pattern))})$`, 'u');
    const theirs = new RegExp(`^(?:${pattern.replace('{,3}{', '\\{,3\\}\\{')})$`, 'u');
    const character = fc.constantFrom(...'abcdxyz-+0129 .@{},3é😀я_]A\b'.split(/(?:)/u));
    fc.assert(
      fc.property(
        fc.string({ unit: character, maxLength: 9 }),
        (text) => ours.test(text) === theirs.test(text),
      ),
      { numRuns: 500 },
    );
  });

  test.each([
    ['(a', 'unmatched ('],
    ['a)', 'unmatched )'],
    ['[a', 'ends too early'],
    ['*a', 'nothing to repeat'],
    ['a**', 'nothing to repeat'],
    ['a{3,2}', 'out of order'],
    ['[z-a]', 'out of order'],
    ['a{1,9999999}', 'more than'],
    ['(?=a)', 'lookaround'],
    ['(?<!a)', 'lookaround'],
    ['(a)\\1', 'backreferences'],
    ['\\bword', 'word boundaries'],
    ['\\p{L}', 'Unicode properties'],
    ['\\ud83d', 'surrogate'],
    ['\\q', 'unknown escape'],
    ['('.repeat(500), 'nested too deeply'],
    ['a'.repeat(9_000), 'characters'],
  ])('%s is refused', (pattern, problem) => {
    expect(() => parseRegex(pattern)).toThrow(problem);
  });

  test('has its lengths known, and whether it is anchored', () => {
    expect(lengthsOf(parseRegex('^a{2,3}(b|cd)?$'))).toEqual({ min: 2, max: 5 });
    expect(lengthsOf(parseRegex('a+')).max).toBe(Number.POSITIVE_INFINITY);
    expect(['^a$', '^a$|^b$', '^a|b$', 'a'].map((p) => isAnchored(parseRegex(p)))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test('never puts a bare quote, backslash or control character into a JSON string', () => {
    const write = (pattern: string) => regexGrammar(parseRegex(pattern), 'json', false, new Rules().add);
    expect(write('"')).toBe('"\\U0000005c\\U00000022"');
    expect(write('.')).toBe('[^\\U00000000-\\U0000001f\\U00000022\\U0000005c]');
    expect(() => write('\\x01')).toThrow('nothing can match');
    expect(() => write('a^b')).toThrow('in its middle');
  });
});
