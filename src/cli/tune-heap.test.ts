import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** Bit of `%GetOptimizationStatus`. Source: `OptimizationStatus` in V8's runtime.h. */
const IS_OPTIMIZED = 1 << 4;

/** Makes objects that are dead by the next collection, is compiled, and tells whether it still is after some collections. */
const PROGRAM = `
  import { tuneHeap } from './src/cli/tune-heap.ts';
  if (process.argv[1] === 'tuned') tuneHeap();
  class Point { constructor(x) { this.x = x; this.y = x; } }
  let last = new Point(1);
  function norm(x) { last = new Point(x); return last.x * last.y; }
  const isCompiled = () => (%GetOptimizationStatus(norm) & ${IS_OPTIMIZED}) !== 0;
  %PrepareFunctionForOptimization(norm);
  for (let i = 0; i < 1000; i++) norm(i);
  %OptimizeFunctionOnNextCall(norm);
  norm(1);
  const compiled = isCompiled();
  last = undefined;
  for (let i = 0; i < 5; i++) gc({ type: 'major', execution: 'sync', flavor: 'regular' });
  console.log(compiled, isCompiled());
`;

test('what was compiled for objects that are no more stays compiled', () => {
  expect(run('tuned')).toBe('true true');
  // By itself V8 nearly always forgets it.
  expect(Array.from({ length: 3 }, () => run('as it is'))).toContain('true false');
});

function run(how: string): string {
  const flags = ['--allow-natives-syntax', '--expose-gc', '--experimental-strip-types', '--no-warnings'];
  const program = ['--input-type=module', '--eval', PROGRAM, how];
  return execFileSync(process.execPath, [...flags, ...program], { encoding: 'utf8' }).trim();
}
