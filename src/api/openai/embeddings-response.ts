import type { Embeddings } from '../../core/encoder.ts';
import type { EncodingFormat } from './embeddings-request.ts';

/** Vectors per piece of the body, so that a large reply does not hold up everybody else's. */
const VECTORS_PER_PIECE = 32;

/** The JSON body, piece by piece: 2,048 vectors as decimal numbers are some 20 MB. */
export function* embeddingsBody(
  { vectors, promptTokens }: Embeddings,
  model: string,
  format: EncodingFormat,
): Generator<string, void, void> {
  yield '{"object":"list","data":[';
  for (let from = 0; from < vectors.length; from += VECTORS_PER_PIECE) {
    const objects = vectors
      .slice(from, from + VECTORS_PER_PIECE)
      .map((vector, i) => JSON.stringify(embeddingObject(vector, from + i, format)));
    yield `${from === 0 ? '' : ','}${objects.join(',')}`;
  }
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
  yield `],"model":${JSON.stringify(model)},"usage":${JSON.stringify(usage)}}`;
}

function embeddingObject(vector: Float32Array, index: number, format: EncodingFormat): object {
  return {
    object: 'embedding',
    index,
    embedding: format === 'base64' ? toBase64(vector) : Array.from(vector, shortest),
  };
}

/** Little-endian float32, as every machine that we run on has it. */
function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

/** Nine digits tell any two float32 apart; the double that stands for one has up to eight more. */
function shortest(value: number): number {
  return Number(value.toPrecision(9));
}
