import { z } from 'zod';
import { name, positive } from './primitives.ts';

const price = z.strictObject({
  inputUsdPerMTok: z.number().min(0),
  cachedInputUsdPerMTok: z.number().min(0).optional(),
  outputUsdPerMTok: z.number().min(0),
});

const deployment = z
  .strictObject({
    upstream: name.optional(),
    engine: name.optional(),
    /** The model's name at the upstream; default: the public name. */
    model: z.string().min(1).optional(),
    price: price.optional(),
    contextTokens: positive.optional(),
  })
  .refine((d) => (d.upstream === undefined) !== (d.engine === undefined), {
    message: 'needs exactly one of `upstream` and `engine`',
  });

export const model = z.strictObject({
  name,
  policy: z.enum(['round-robin']).default('round-robin'),
  /** Ask a second deployment when the first token of a stream is late: at most for a twentieth of the requests. Both may be billed. */
  hedge: z.boolean().default(false),
  deployments: z.array(deployment).min(1),
});

export type ModelConfig = z.infer<typeof model>;
