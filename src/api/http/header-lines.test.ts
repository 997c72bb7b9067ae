import { expect, it } from 'vitest';
import { headerLine, headerPairs } from './header-lines.ts';

it.each(['a\r\nx: y', 'a\nb', 'a\0', 'a\x7f', 'café — ☃'])('takes no value %j', (value) => {
  expect(() => headerLine('x-a', value)).toThrow('x-a');
});

it('takes what Node does, and is read again', () => {
  const line = headerLine('x-a', 'caf\xe9: \t');
  expect(line).toBe('x-a: caf\xe9: \t\r\n');
  expect(headerPairs(`${line}${headerLine('x-b', '')}`)).toEqual([
    ['x-a', 'caf\xe9: \t'],
    ['x-b', ''],
  ]);
  expect(headerPairs('')).toEqual([]);
});
