import type { Classifications, ClassifyRequest } from '../../core/encoder.ts';
import { readingUsageBody } from '../../core/usage-body.ts';

/** vLLM's classification reply. `createdS`: Unix seconds. */
export function classifyBody(
  request: ClassifyRequest,
  { classes, promptTokens }: Classifications,
  createdS: number,
): object {
  return {
    id: `classify-${request.id.replace(/^req_/, '')}`,
    object: 'list',
    created: createdS,
    model: request.model,
    data: classes.map(({ label, probabilities }, index) => ({
      index,
      label,
      probs: probabilities,
      num_classes: probabilities.length,
    })),
    usage: readingUsageBody(promptTokens),
  };
}
