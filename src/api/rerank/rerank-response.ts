import type { RerankRequest, RerankScores } from '../../core/encoder.ts';
import { readingUsageBody } from '../../core/usage-body.ts';
import type { RerankReplyOptions } from './rerank-request.ts';

/** The most relevant document first; equal ones stay in the request's order. */
export function rerankBody(
  request: RerankRequest,
  { scores, promptTokens }: RerankScores,
  { topN, returnDocuments }: RerankReplyOptions,
): object {
  const results = scores
    .map((score, index) => ({
      index,
      relevance_score: score,
      ...(returnDocuments ? { document: { text: request.documents[index]! } } : {}),
    }))
    .sort((a, b) => b.relevance_score - a.relevance_score)
    .slice(0, topN);
  return {
    id: `rerank-${request.id.replace(/^req_/, '')}`,
    model: request.model,
    results,
    usage: readingUsageBody(promptTokens),
  };
}
