import { z } from 'zod';

/** How a model draws tokens where a request does not say; see `SamplingDefaults` in core. */
export const samplingSchema = z.strictObject({
  temperature: z.number().min(0).max(2).exactOptional(),
  topP: z.number().gt(0).max(1).exactOptional(),
  topK: z.int().min(0).exactOptional(),
  minP: z.number().min(0).max(1).exactOptional(),
  typicalP: z.number().gt(0).max(1).exactOptional(),
  repetitionPenalty: z.number().gt(0).max(10).exactOptional(),
});
