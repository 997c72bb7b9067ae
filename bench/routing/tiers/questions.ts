import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TRUNCATE_TOKENS } from '../../../src/difficulty/learnt-head.ts';
import { embeddingsOf } from './embeddings.ts';
import { type Outcome, readOutcomes } from './outcomes.ts';

/** The questions with their outcomes and embeddings, as named on the command line or fetched. */
export async function readQuestions(): Promise<{
  readonly outcomes: readonly Outcome[];
  readonly embeddings: readonly Float32Array[];
}> {
  const cache = fileURLToPath(new URL('../../../.cache/', import.meta.url));
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: join(cache, 'routellm') },
      encoder: { type: 'string', default: join(cache, 'models/all-minilm-l6-v2') },
    },
  });
  const outcomes = readOutcomes(values.data);
  const texts = outcomes.map(({ prompt }) => prompt);
  const model = createHash('sha256')
    .update(readFileSync(join(values.encoder, 'model.onnx')))
    .digest('hex');
  const file = join(cache, `routellm-embeddings-${model.slice(0, 16)}-${TRUNCATE_TOKENS}.f32`);
  return { outcomes, embeddings: await embeddingsOf(texts, values.encoder, TRUNCATE_TOKENS, file) };
}
