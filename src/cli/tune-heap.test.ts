import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** Bit of `%GetOptimizationStatus`. Source: `OptimizationStatus` in V8's runtime.h. */
const IS_OPTIMIZED = 1 << 4;

/** Makes objects that are dead by the next collection, is compiled, and tells whether it still is after some collections. */
const COMPILED = `
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
  const flags = ['--allow-natives-syntax', '--expose-gc'];
  expect(run('tuned', COMPILED, flags)).toBe('true true');
  // By itself V8 nearly always forgets it.
  expect(Array.from({ length: 3 }, () => run('as it is', COMPILED, flags))).toContain('true false');
});

/** Keeps some hundred thousand objects, replaces them turn by turn, and leaves buffers behind: V8 has to mark what it keeps again and again. */
const BUSY = `
  import { tuneHeap } from './src/cli/tune-heap.ts';
  if (process.argv[1] === 'tuned') tuneHeap();
  const kept = Array.from({ length: 300_000 }, (_, i) => ({ i, text: String(i) }));
  let turns = 0;
  function turn() {
    for (let i = 0; i < 100; i++) {
      for (let k = 0; k < 20; k++) kept[(turns * 2000 + i * 20 + k) % kept.length] = { i, text: String(i) };
      Buffer.allocUnsafeSlow(64 * 1024);
    }
    if (++turns < 1000) setImmediate(turn);
  }
  turn();
`;

test('what is young is collected also while the heap is being marked', () => {
  // By itself V8 puts it off, but for one that is on its way as the marking begins.
  const putOff = collectionsWhileMarking('as it is');
  expect(collectionsWhileMarking('tuned')).toBeGreaterThan(putOff);
});

function collectionsWhileMarking(how: string): number {
  const flags = ['--trace-gc', '--trace-incremental-marking', '--max-semi-space-size=8'];
  let isMarking = false;
  let marked = 0;
  let collections = 0;
  for (const line of run(how, BUSY, flags).split('\n')) {
    if (line.includes('[IncrementalMarking] Start')) {
      isMarking = true;
      marked += 1;
    } else if (line.includes('Mark-Compact')) isMarking = false;
    else if (isMarking && line.includes(': Scavenge')) collections += 1;
  }
  expect(marked).toBeGreaterThan(0);
  return collections;
}

function run(how: string, program: string, flags: readonly string[]): string {
  const always = ['--experimental-strip-types', '--no-warnings', '--input-type=module'];
  const args = [...flags, ...always, '--eval', program, how];
  return execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }).trim();
}
