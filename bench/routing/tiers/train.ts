/**
 * Learns the weights of the embedding classifier from the questions that nothing is measured on and from anchors.ts, and writes them to
 * src/difficulty/embedding-head.ts.
 *
 *   node bench/routing/tiers/train.ts [--encoder DIRECTORY] [--data DIRECTORY]
 *
 * Nothing is drawn: the same data gives the same weights again.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EASY, HARD } from './anchors.ts';
import { readQuestions } from './questions.ts';
import { ridge } from './ridge.ts';

const VERSION = 'embedding-1';
/** Of those tried (1, 4, 16), the one that did best on MT-bench, whose questions are unlike those learnt from. */
const PENALTY = 16;
/** A weight is a whole number of these. */
const UNIT = 1e-4;
const PARTS = 20;
/** An anchor counts as so many questions, of those tried (3, 10, 30) by the same, … */
const ANCHOR_WEIGHT = 30;
/** … of which a strong model answers so many more, a share; of exam questions it is one in eight. */
const EASY_GAIN = 0;
const HARD_GAIN = 0.25;

const { outcomes, embeddings, embed } = await readQuestions();
const learnt = outcomes.flatMap(({ learntFrom }, i) => (learntFrom ? [i] : []));
const vectors = learnt.map((i) => embeddings[i]!);
const gains = learnt.map((i) => outcomes[i]!.strong - outcomes[i]!.weak);
const [easy, hard] = [textsOf(EASY), textsOf(HARD)];
const anchors = (await embed([...easy, ...hard])).flatMap((vector) =>
  Array<Float32Array>(ANCHOR_WEIGHT).fill(vector),
);
const anchorGains = anchors.map((_, i) => (i < easy.length * ANCHOR_WEIGHT ? EASY_GAIN : HARD_GAIN));
const fitted = ridge([...vectors, ...anchors], [...gains, ...anchorGains], PENALTY);
const [bias, ...weights] = [...fitted].map((weight) => Math.round(weight / UNIT));
const scores = vectors
  .map((vector) => UNIT * weights.reduce((sum, weight, i) => sum + weight * vector[i]!, bias!))
  .sort((a, b) => a - b);
const quantiles = Array.from({ length: PARTS + 1 }, (_, part) => {
  const at = Math.round((part / PARTS) * (scores.length - 1));
  return Number(scores[at]!.toPrecision(4));
});
const target = fileURLToPath(new URL('../../../src/difficulty/embedding-head.ts', import.meta.url));
writeFileSync(
  target,
  `import type { LearntHead } from './learnt-head.ts';

/** Written by bench/routing/tiers/train.ts from ${learnt.length.toLocaleString('en')} questions of gsm8k and MMLU (MIT) with the outcomes that RouteLLM published (Apache-2.0), and from anchors.ts. */
export const EMBEDDING_HEAD: LearntHead = {
  version: '${VERSION}',
  encoder: 'all-minilm-l6-v2',
  unit: ${UNIT},
  bias: ${bias},
  weights: [${weights.join(', ')}],
  quantiles: [${quantiles.join(', ')}],
};
`,
);
execFileSync('npx', ['biome', 'format', '--write', target], { stdio: 'inherit' });

function textsOf(lines: string): string[] {
  return lines.trim().split('\n');
}
