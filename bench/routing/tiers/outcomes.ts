import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCsv } from './csv.ts';

/** A question, and who answered it well. */
export interface Outcome {
  readonly set: 'gsm8k' | 'mmlu' | 'mt-bench';
  readonly prompt: string;
  /** 1: right, 0: wrong; of MT-bench the judge's mark as a share of 10. */
  readonly weak: number;
  readonly strong: number;
  /** As a quarter of the characters. */
  readonly promptTokens: number;
  readonly weakTokens: number;
  readonly strongTokens: number;
  /** Was looked at when weights were learnt; what is measured is measured on the others. */
  readonly learntFrom: boolean;
}

const REPOSITORY = 'https://github.com/lm-sys/RouteLLM.git';
const COMMIT = '0b64fdafe049e596a3f5657c219329f24af24198';
const WEAK = 'mistralai/Mixtral-8x7B-Instruct-v0.1';
const STRONG = 'gpt-4-1106-preview';
/** Of the questions of gsm8k and MMLU. MT-bench is never learnt from. */
const LEARNT_SHARE = 0.7;

/**
 * RouteLLM's evaluation data (Apache-2.0; the questions are those of gsm8k and MMLU, both MIT, and of MT-bench).
 *
 * @param checkout Where the repository lies, or is fetched to, at one commit.
 */
export function readOutcomes(checkout: string): Outcome[] {
  const evals = join(checkout, 'routellm/evals');
  if (!existsSync(evals)) fetchCheckout(checkout);
  const mmlu = join(evals, 'mmlu/responses');
  const files = readdirSync(mmlu).filter((file) => file.endsWith('.csv'));
  return [
    ...files.sort().flatMap((file) => fromCsv('mmlu', readFileSync(join(mmlu, file), 'utf8'))),
    ...fromCsv('gsm8k', readFileSync(join(evals, 'gsm8k/gsm8k_responses.csv'), 'utf8')),
    ...mtBench(
      readFileSync(join(evals, 'mt_bench/question.jsonl'), 'utf8'),
      readFileSync(join(evals, 'mt_bench/judgements.jsonl'), 'utf8'),
    ),
  ];
}

function fetchCheckout(into: string): void {
  mkdirSync(into, { recursive: true });
  const git = (...args: string[]) => execFileSync('git', ['-C', into, ...args], { stdio: 'inherit' });
  git('init', '--quiet');
  try {
    git('fetch', '--quiet', '--depth', '1', REPOSITORY, COMMIT);
  } catch {
    throw new Error(`${REPOSITORY} cannot be fetched: name a checkout of it with --data.`);
  }
  git('checkout', '--quiet', 'FETCH_HEAD');
}

function fromCsv(set: 'gsm8k' | 'mmlu', text: string): Outcome[] {
  return parseCsv(text).map((row) => ({
    set,
    prompt: row.prompt!,
    weak: row[WEAK] === 'True' ? 1 : 0,
    strong: row[STRONG] === 'True' ? 1 : 0,
    promptTokens: row.prompt!.length / 4,
    // Of MMLU a letter is wanted.
    weakTokens: (row[`${WEAK}_response`]?.length ?? 4) / 4,
    strongTokens: (row[`${STRONG}_response`]?.length ?? 4) / 4,
    learntFrom: drawn(row.prompt!) < LEARNT_SHARE,
  }));
}

interface Judgement {
  readonly question_id: number;
  readonly model: string;
  readonly turn: number;
  readonly score: number;
}

/** The first turns: later ones depend on what was answered. */
function mtBench(questions: string, judgements: string): Outcome[] {
  const rows = <T>(text: string): T[] =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as T);
  const marks = new Map(
    rows<Judgement>(judgements)
      .filter(({ turn }) => turn === 1)
      .map(({ question_id, model, score }) => [`${question_id} ${model}`, score / 10]),
  );
  return rows<{ question_id: number; turns: string[] }>(questions).flatMap(({ question_id, turns }) => {
    const weak = marks.get(`${question_id} ${WEAK}`);
    const strong = marks.get(`${question_id} ${STRONG}`);
    const prompt = turns[0]!;
    const tokens = { promptTokens: prompt.length / 4, weakTokens: 300, strongTokens: 300 };
    return weak === undefined || strong === undefined
      ? []
      : [{ set: 'mt-bench' as const, prompt, weak, strong, ...tokens, learntFrom: false }];
  });
}

/** The same for the same text, so that no question is on both sides. */
function drawn(prompt: string): number {
  return createHash('sha256').update(prompt).digest().readUInt32BE() / 2 ** 32;
}
