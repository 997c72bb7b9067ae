import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { embeddingsOf } from './embeddings.ts';
import { type Outcome, readOutcomes } from './outcomes.ts';

export interface Questions {
  readonly outcomes: readonly Outcome[];
  /** One per outcome. */
  readonly embeddings: readonly Float32Array[];
  /** Of other texts. */
  embed(texts: readonly string[]): Promise<readonly Float32Array[]>;
}

/** The questions with their outcomes and embeddings, as named on the command line or fetched. */
export async function readQuestions(): Promise<Questions> {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const cache = join(root, '.cache');
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: join(cache, 'routellm') },
      encoder: { type: 'string', default: join(root, 'data/models/all-minilm-l6-v2') },
    },
  });
  if (!existsSync(join(values.encoder, 'model.onnx')))
    throw new Error(
      `There is no encoder in ${values.encoder}: fetch it with \`npm run -s qianmen -- pull all-minilm-l6-v2\`, or name another with --encoder.`,
    );
  const embed = (texts: readonly string[]) => embeddingsOf(texts, values.encoder, cache);
  const outcomes = readOutcomes(values.data);
  return { outcomes, embeddings: await embed(outcomes.map(({ prompt }) => prompt)), embed };
}
