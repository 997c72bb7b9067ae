import type { Embeddings } from '../../core/encoder.ts';
import { readingUsageBody } from '../../core/usage-body.ts';
import type { EncodingFormat } from './embeddings-request.ts';

/** Of a piece of the body, about: it is written in a millisecond or two. */
const FLOATS_PER_PIECE = 4_096;

/** The JSON body, piece by piece, so that others have their turn in between: 2,048 vectors as decimal numbers are some 10 MB. */
export function* embeddingsBody(
  { vectors, promptTokens }: Embeddings,
  model: string,
  format: EncodingFormat,
): Generator<string, void, void> {
  yield '{"object":"list","data":[';
  const perPiece = Math.ceil(FLOATS_PER_PIECE / (vectors[0]?.length || 1));
  for (let from = 0; from < vectors.length; from += perPiece) {
    const objects = vectors
      .slice(from, from + perPiece)
      .map((vector, i) => embeddingObject(vector, from + i, format));
    yield `${from === 0 ? '' : ','}${objects.join(',')}`;
  }
  const usage = readingUsageBody(promptTokens);
  yield `],"model":${JSON.stringify(model)},"usage":${JSON.stringify(usage)}}`;
}

function embeddingObject(vector: Float32Array, index: number, format: EncodingFormat): string {
  const embedding = format === 'base64' ? `"${toBase64(vector)}"` : toDecimals(vector);
  return `{"object":"embedding","index":${index},"embedding":${embedding}}`;
}

/** Little-endian float32, as every machine that we run on has it. */
function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

/** The double that stands for a float32 has some eight digits more than are needed to tell it from others. */
function toDecimals(vector: Float32Array): string {
  let text = '[';
  for (let i = 0; i < vector.length; i += 1) {
    if (i > 0) text += ',';
    text += Number.isFinite(vector[i]!) ? shortest(vector[i]!) : 'null';
  }
  return `${text}]`;
}

/** Rounded to less than half the distance to the next float32. Most lie where a division does that: a tenth of the cost of digits. */
function shortest(value: number): number {
  const size = Math.abs(value);
  if (size >= 2 ** -12 && size < 2 ** 16) {
    const scale = size >= 2 ** -5 ? 1e9 : size >= 2 ** -9 ? 1e10 : 1e11;
    return Math.round(value * scale) / scale;
  }
  return Number(value.toPrecision(9));
}
