import { z } from 'zod';
import type { EmbedRequest } from '../../core/encoder.ts';
import type { WireRequest } from '../../core/request.ts';
import { encoderShape, toInputs, toTruncateTokens } from './encoder-input.ts';
import { optional } from './field.ts';
import { fromIssues } from './invalid-request.ts';

export type EncodingFormat = 'float' | 'base64';

/** `user` and fields that are not listed are accepted and unread: an upstream gets the bytes as they came. */
const embeddingsSchema = z.object({
  ...encoderShape,
  dimensions: optional(z.int().min(1)),
  encoding_format: optional(z.enum(['float', 'base64'])),
});

/**
 * Maps the body of `POST /v1/embeddings`. Throws an AppError with status 400 and the path of the field at fault, and
 * nothing else, whatever JSON value it is given.
 */
export function parseEmbeddingsRequest(
  body: unknown,
  wire: WireRequest,
  id: string,
): { readonly request: EmbedRequest; readonly format: EncodingFormat } {
  const parsed = embeddingsSchema.safeParse(body);
  if (!parsed.success) throw fromIssues(parsed.error.issues, body);
  const fields = parsed.data;
  return {
    request: {
      id,
      endpoint: 'embeddings',
      model: fields.model,
      inputs: toInputs(fields.input),
      dimensions: fields.dimensions ?? undefined,
      truncateTokens: toTruncateTokens(fields),
      wire,
    },
    format: fields.encoding_format ?? 'float',
  };
}
