import { z } from 'zod';
import type { RerankRequest } from '../../core/encoder.ts';
import type { WireRequest } from '../../core/request.ts';
import { MOST_INPUTS } from '../openai/encoder-input.ts';
import { boundedArray, optional } from '../openai/field.ts';
import { fromIssues, invalidValue } from '../openai/invalid-request.ts';

/** Jina's and Cohere's shape; fields that are not listed are accepted and unread. */
const rerankSchema = z.object({
  model: z.string().min(1),
  query: z.string().min(1),
  documents: boundedArray(z.union([z.string(), z.object({ text: z.string() })]), MOST_INPUTS),
  top_n: optional(z.int().min(1)),
  return_documents: optional(z.boolean()),
  /** Cohere's: cut documents to so many tokens. */
  max_tokens_per_doc: optional(z.int().min(1)),
});

export interface RerankReplyOptions {
  /** Undefined: all. */
  readonly topN: number | undefined;
  readonly returnDocuments: boolean;
}

/**
 * Maps the body of `POST /v1/rerank`. Throws an AppError with status 400 and the path of the field at fault, and nothing
 * else, whatever JSON value it is given.
 */
export function parseRerankRequest(
  body: unknown,
  wire: WireRequest,
  id: string,
): { readonly request: RerankRequest; readonly options: RerankReplyOptions } {
  const parsed = rerankSchema.safeParse(body);
  if (!parsed.success) throw fromIssues(parsed.error.issues, body);
  const fields = parsed.data;
  if (fields.documents.length === 0) throw invalidValue('documents', 'must not be empty');
  const documents = fields.documents.map((document) =>
    typeof document === 'string' ? document : document.text,
  );
  return {
    request: {
      id,
      endpoint: 'rerank',
      model: fields.model,
      query: fields.query,
      documents,
      truncateTokens: fields.max_tokens_per_doc ?? undefined,
      wire,
    },
    options: { topN: fields.top_n ?? undefined, returnDocuments: fields.return_documents ?? false },
  };
}
