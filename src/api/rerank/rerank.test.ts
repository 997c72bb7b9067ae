import { describe, expect, it } from 'vitest';
import type { WireRequest } from '../../core/request.ts';
import { parseRerankRequest } from './rerank-request.ts';
import { rerankBody } from './rerank-response.ts';

const wire: WireRequest = { dialect: 'openai', path: '/rerank', body: Buffer.alloc(0) };
const parse = (fields: object) => parseRerankRequest({ model: 'm', query: 'q', ...fields }, wire, 'req_1');

describe('a rerank request', () => {
  it('takes documents as texts and as objects with a text', () => {
    const { request, options } = parse({ documents: ['a', { text: 'b', title: 'x' }], top_n: 1 });
    expect(request).toMatchObject({ endpoint: 'rerank', query: 'q', documents: ['a', 'b'] });
    expect(options).toEqual({ topN: 1, returnDocuments: false });
  });

  it('may cut documents to some tokens, as Cohere has it', () => {
    expect(parse({ documents: ['a'], max_tokens_per_doc: 7 }).request.truncateTokens).toBe(7);
    expect(parse({ documents: ['a'] }).request.truncateTokens).toBe(undefined);
  });

  it.each<[string, object, string]>([
    ['no documents', {}, 'documents'],
    ['an empty list', { documents: [] }, 'documents'],
    ['a number as document', { documents: ['a', 1] }, 'documents[1]'],
    ['a document without text', { documents: [{ title: 'a' }] }, 'documents[0].text'],
    ['too many documents', { documents: Array.from({ length: 2_049 }, () => 'a') }, 'documents'],
    ['an empty query', { documents: ['a'], query: '' }, 'query'],
    ['documents cut to nothing', { documents: ['a'], max_tokens_per_doc: 0 }, 'max_tokens_per_doc'],
    ['top_n of nothing', { documents: ['a'], top_n: 0 }, 'top_n'],
  ])('is refused with %s, and the error names the field', (_what, fields, param) => {
    expect(() => parse(fields)).toThrow(expect.objectContaining({ status: 400, param }));
  });
});

describe('a rerank reply', () => {
  const { request } = parse({ documents: ['a', 'b', 'c'] });
  const scores = { endpoint: 'rerank', scores: [0.2, 0.9, 0.2], promptTokens: 5 } as const;

  it('begins with the most relevant document; equal ones stay in order', () => {
    expect(rerankBody(request, scores, { topN: undefined, returnDocuments: false })).toEqual({
      id: 'rerank-1',
      model: 'm',
      results: [
        { index: 1, relevance_score: 0.9 },
        { index: 0, relevance_score: 0.2 },
        { index: 2, relevance_score: 0.2 },
      ],
      usage: { prompt_tokens: 5, total_tokens: 5 },
    });
  });

  it('is cut to top_n and carries the documents where they are asked for', () => {
    expect(rerankBody(request, scores, { topN: 1, returnDocuments: true })).toMatchObject({
      results: [{ index: 1, document: { text: 'b' } }],
    });
  });
});
