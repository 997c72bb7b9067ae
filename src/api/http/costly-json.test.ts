import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import { refuseCostlyJson } from './costly-json.ts';

const check = (text: string) => refuseCostlyJson(Buffer.from(text));

describe('refuseCostlyJson', () => {
  it.each([
    ['depth in arrays', '['.repeat(129)],
    ['depth in objects', '{"a":'.repeat(129)],
    ['depth after escaped quotes and backslashes', `["\\"\\\\",${'['.repeat(128)}`],
    ['many objects', `[${'{},'.repeat(100_001)}{}]`],
    ['many keys', `{${'"k":1,'.repeat(100_001)}"k":1}`],
    ['many values', `[${'1,'.repeat(1_000_001)}1]`],
  ])('refuses %s with a 400', (_, text) => {
    expect(() => check(text)).toThrow(AppError);
    expect(() => check(text)).toThrow(/nested deeper than 128 levels|too many values/);
  });

  it.each([
    ['brackets inside strings', JSON.stringify({ a: '[{'.repeat(1_000), b: `${'\\"['.repeat(1_000)}\\` })],
    ['as much depth as is allowed', '['.repeat(128) + ']'.repeat(128)],
    ['a million token ids', `{"prompt":[${'7,'.repeat(999_999)}7]}`],
    ['a large string', `"${'x'.repeat(5_000_000)}"`],
    ['nothing', ''],
    ['an unclosed string', '{"a'],
    ['a backslash at the end', '"\\'],
    ['stray closing brackets', `${']'.repeat(1_000)}${'['.repeat(200)}`],
  ])('lets %s pass', (_, text) => {
    check(text);
  });

  it('never refuses ordinary JSON, whatever its strings hold', () => {
    const string = fc.string({
      unit: fc.constantFrom('"', '\\', '[', '{', ',', ':', 'a', '\u20ac'),
      maxLength: 100,
    });
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 6 }, string, fc.array(tie('any')), fc.dictionary(string, tie('any'))),
    })).any;
    fc.assert(fc.property(value, (any) => check(JSON.stringify(any))));
  });

  it('finds depth behind any strings', () => {
    const string = fc.string({ unit: fc.constantFrom('"', '\\', '[', ']', 'a'), maxLength: 100 });
    fc.assert(
      fc.property(fc.array(string, { maxLength: 5 }), (strings) => {
        const text = JSON.stringify([...strings, 1]);
        check(text);
        expect(() => check(text.replace(/1\]$/, '['.repeat(128)))).toThrow(/nested/);
      }),
    );
  });
});
