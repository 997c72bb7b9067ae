import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StopMatcher } from './stop-matcher.ts';

function run(pieces: readonly string[], stops: readonly string[], include = false) {
  const matcher = new StopMatcher(stops, include);
  let shown = '';
  for (const piece of pieces) {
    const { text, match } = matcher.push(piece);
    shown += text;
    if (match !== undefined) return { shown, match };
  }
  return { shown: shown + matcher.flush(), match: undefined };
}

/** The definition: read character by character, stop when what was read ends with a stop string. */
function byDefinition(text: string, stops: readonly string[]) {
  for (let end = 1; end <= text.length; end++) {
    const read = text.slice(0, end);
    const match = stops.filter((s) => s !== '' && read.endsWith(s)).sort((a, b) => b.length - a.length)[0];
    if (match !== undefined) return { shown: read.slice(0, end - match.length), match };
  }
  return { shown: text, match: undefined };
}

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });

test('however the text is cut, the first complete stop string ends it and never shows', () => {
  fc.assert(
    fc.property(
      fc.array(letters, { maxLength: 12 }),
      fc.array(letters, { maxLength: 4 }),
      (pieces, stops) => {
        expect(run(pieces, stops)).toEqual(byDefinition(pieces.join(''), stops));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('text is held back only while it may begin a stop string', () => {
  const matcher = new StopMatcher(['</end>'], false);
  expect(matcher.push('x <').text).toBe('x ');
  expect(matcher.push('/en').text).toBe('');
  expect(matcher.push('d more').text).toBe('</end more');
});

test('the stop string stays in the reply when asked for, and nothing behind it', () => {
  expect(run(['one ST', 'OP two'], ['STOP'], true)).toEqual({ shown: 'one STOP', match: 'STOP' });
});
