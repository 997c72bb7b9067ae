import { z } from 'zod';
import type { ClassifyRequest } from '../../core/encoder.ts';
import type { WireRequest } from '../../core/request.ts';
import { encoderShape, toInputs, toTruncateTokens } from '../openai/encoder-input.ts';
import { fromIssues } from '../openai/invalid-request.ts';

/** vLLM's shape; fields that are not listed are accepted and unread. */
const classifySchema = z.object(encoderShape);

/**
 * Maps the body of `POST /v1/classify`. Throws an AppError with status 400 and the path of the field at fault, and nothing
 * else, whatever JSON value it is given.
 */
export function parseClassifyRequest(body: unknown, wire: WireRequest, id: string): ClassifyRequest {
  const parsed = classifySchema.safeParse(body);
  if (!parsed.success) throw fromIssues(parsed.error.issues, body);
  const fields = parsed.data;
  return {
    id,
    endpoint: 'classify',
    model: fields.model,
    inputs: toInputs(fields.input),
    truncateTokens: toTruncateTokens(fields),
    wire,
  };
}
