import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { embeddingsBody } from './embeddings-response.ts';

type Format = 'float' | 'base64';

function render(vectors: readonly Float32Array[], format: Format) {
  const pieces = [...embeddingsBody({ endpoint: 'embeddings', vectors, promptTokens: 7 }, 'm"x', format)];
  return JSON.parse(pieces.join('')) as { data: { index: number; embedding: never }[]; usage: object };
}

const floats = fc.float32Array({ minLength: 3, maxLength: 3, noNaN: true, noDefaultInfinity: true });

describe('an embeddings reply', () => {
  it('has the shape of the OpenAI API', () => {
    expect(render([Float32Array.of(0.5, -1)], 'float')).toEqual({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }],
      model: 'm"x',
      usage: { prompt_tokens: 7, total_tokens: 7 },
    });
  });

  it('numbers the vectors through all its pieces', () => {
    const vectors = Array.from({ length: 2_048 }, (_, i) => Float32Array.of(i));
    const { data } = render(vectors, 'float');
    expect(data.map(({ index }) => index)).toEqual(Array.from({ length: 2_048 }, (_, i) => i));
    expect(data[2_047]?.embedding).toEqual([2_047]);
  });

  it('gives every float back to the last bit, as a number', () => {
    fc.assert(
      fc.property(floats, (vector) => {
        const [entry] = render([vector], 'float').data;
        expect(Float32Array.from(entry!.embedding as number[])).toEqual(vector.map((value) => value + 0));
      }),
    );
  });

  it('does so for floats of the sizes that are in embeddings, in few digits', () => {
    const size = fc.integer({ min: -14, max: 17 }).map((exponent) => 2 ** exponent);
    const vector = fc.array(fc.tuple(fc.double({ min: -1, max: 1, noNaN: true }), size), {
      minLength: 300,
      maxLength: 300,
    });
    fc.assert(
      fc.property(vector, (values) => {
        const floats = Float32Array.from(values, ([part, most]) => part * most);
        const [entry] = render([floats], 'float').data;
        expect(Float32Array.from(entry!.embedding as number[])).toEqual(floats.map((value) => value + 0));
      }),
    );
    const unit = Float32Array.from({ length: 384 }, (_, i) => Math.sin(i * i) / 14);
    const written = [
      ...embeddingsBody({ endpoint: 'embeddings', vectors: [unit], promptTokens: 7 }, 'm', 'float'),
    ].join('');
    expect(written.length / unit.length).toBeLessThan(14);
  });

  it('gives every float back to the last bit, as little-endian base64', () => {
    fc.assert(
      fc.property(floats, (vector) => {
        const [entry] = render([vector], 'base64').data;
        const bytes = Buffer.from(entry!.embedding, 'base64');
        expect(bytes.length).toBe(12);
        for (const [i, value] of vector.entries()) expect(bytes.readFloatLE(4 * i)).toBe(value);
      }),
    );
  });

  it('encodes a vector that is a view of a larger array', () => {
    const view = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    const [entry] = render([view], 'base64').data;
    expect(Buffer.from(entry!.embedding, 'base64')).toEqual(Buffer.from(Float32Array.of(2, 3).buffer));
  });
});
