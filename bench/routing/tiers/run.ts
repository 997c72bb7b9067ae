/**
 * Replays labelled outcomes of a strong and a weak model under several ways to tell which question needs which, and writes what
 * is saved against what is lost to RESULTS.md.
 *
 *   node bench/routing/tiers/run.ts [--encoder DIRECTORY] [--data DIRECTORY]
 */
import { writeFileSync } from 'node:fs';
import type { GenerateRequest } from '../../../src/core/request.ts';
import { EMBEDDING_HEAD } from '../../../src/difficulty/embedding-head.ts';
import { featureClassifier } from '../../../src/difficulty/feature-classifier.ts';
import { difficultyOf, rawScore } from '../../../src/difficulty/learnt-head.ts';
import { seededRandom } from '../../../src/simulation/random.ts';
import { curveOf } from './curve.ts';
import type { Outcome } from './outcomes.ts';
import { readQuestions } from './questions.ts';
import { report } from './report.ts';

const { outcomes, embeddings } = await readQuestions();
const random = seededRandom(1);
const gain = (i: number) => rawScore(EMBEDDING_HEAD, embeddings[i]!);
const JUDGES: Record<string, (one: Outcome, i: number) => number> = {
  chance: () => random(),
  'features (default)': ({ prompt }) => featureClassifier.judge(requestOf(prompt)).difficulty,
  embedding: (_, i) => difficultyOf(EMBEDDING_HEAD, gain(i)),
  'embedding, per prompt token': ({ promptTokens }, i) => gain(i) / promptTokens,
  'hindsight, cannot be had': ({ strong, weak }) => strong - weak + 1e-6 * random(),
};

const SETS = ['gsm8k and mmlu', 'mmlu', 'gsm8k', 'mt-bench'] as const;
const results = SETS.map((set) => {
  const indices = outcomes.flatMap((one, i) =>
    !one.learntFrom && (set === one.set || (set === SETS[0] && one.set !== 'mt-bench')) ? [i] : [],
  );
  const asked = indices.map((i) => outcomes[i]!);
  const curves = Object.entries(JUDGES).map(([judge, score]) => {
    return {
      judge,
      curve: curveOf(
        asked,
        indices.map((i) => score(outcomes[i]!, i)),
      ),
    };
  });
  return { set, questions: asked.length, curves };
});
const text = report(results);
writeFileSync(new URL('RESULTS.md', import.meta.url), text);
process.stdout.write(text);

function requestOf(text: string): GenerateRequest {
  const messages = [{ role: 'user', content: [{ type: 'text', text }] }];
  return {
    prompts: [{ kind: 'chat', messages }],
    tools: [],
    structure: undefined,
    wire: { body: Buffer.from(JSON.stringify({ model: 'auto', messages })) },
  } as unknown as GenerateRequest;
}
