/**
 * Compiles grammars nobody has tried yet, in a thread that may hang or abort: see grammar-trials.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { seededRandom } from '../random.ts';
import type { TrialAnswer, TrialQuestion } from './grammar-trials.ts';
import { type CompiledGrammar, type GrammarVocabulary, TokenGrammars } from './token-grammars.ts';
import { createXgrammar } from './xgrammar.ts';

/** Random texts are followed for so long: a state that is slow to mask shows itself. */
const WALK_MS = 60;
const MOST_STEPS = 64;

const errors: string[] = [];
const xgrammar = await createXgrammar((line) => errors.push(line));
const grammars = new TokenGrammars(xgrammar, workerData as GrammarVocabulary);
const random = seededRandom(1);

function attempt({ text, slowestStepMs }: TrialQuestion): TrialAnswer {
  errors.length = 0;
  try {
    const grammar = grammars.compile(text);
    try {
      return walk(grammar, slowestStepMs);
    } finally {
      grammar.dispose();
    }
  } catch (error) {
    return { ok: false, broken: true, reason: reasonOf(error) };
  }
}

function walk(grammar: CompiledGrammar, slowestStepMs: number): TrialAnswer {
  const startedAtMs = performance.now();
  const matcher = grammar.matcher();
  try {
    for (let step = 0; step < MOST_STEPS && performance.now() - startedAtMs < WALK_MS; step++) {
      const token = anyOf(matcher.mask);
      if (token === undefined)
        return step === 0 ? { ok: false, broken: false, reason: 'allows no text at all' } : { ok: true };
      const stepAtMs = performance.now();
      if (!matcher.accept(token)) return { ok: true };
      if (performance.now() - stepAtMs > slowestStepMs)
        return { ok: false, broken: false, reason: 'is too costly to follow' };
    }
    return { ok: true };
  } finally {
    matcher.dispose();
  }
}

/** The first allowed token after a random place. */
function anyOf(mask: Int32Array): number | undefined {
  const start = Math.floor(random() * mask.length);
  for (let i = 0; i < mask.length; i++) {
    const at = (start + i) % mask.length;
    if (mask[at] !== 0) return at * 32 + (31 - Math.clz32(mask[at]! & -mask[at]!));
  }
  return undefined;
}

/** `[FATAL] path:line: reason`, as xgrammar writes it; else the stack overflowed or memory ran out. */
function reasonOf(error: unknown): string {
  const fatal = errors.map((line) => /\[FATAL\]\s+\S+:\d+:\s*(.*)/s.exec(line)?.[1]).find(Boolean);
  if (fatal !== undefined) return `cannot be compiled: ${fatal.slice(0, 200)}`;
  return error instanceof RangeError ? 'is nested too deeply' : 'cannot be compiled';
}

parentPort!.postMessage('ready');
parentPort!.on('message', (question: TrialQuestion) => parentPort!.postMessage(attempt(question)));
