import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { cosine, GraphWorkshop } from '../test/fixtures/tiny-graph.ts';
import { readGguf } from './gguf/reader.ts';
import { buildDecoderGraph } from './graph/decoder-graph.ts';
import { ggufSource } from './graph/gguf-source.ts';

const FOLDER = fileURLToPath(new URL('../test/fixtures/reference-logits/', import.meta.url));

const workshop = new GraphWorkshop();
afterAll(() => workshop.dispose());

/** What PyTorch transformers computes: see make.py beside the files. */
function reference(name: string): { tokens: number[]; logits: Float32Array } {
  const { tokens, logits } = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
  return { tokens, logits: new Float32Array(Uint8Array.from(Buffer.from(logits, 'base64')).buffer) };
}

function load(name: string, variant: '8bit' | 'fp32') {
  const graphPath = join(workshop.folder, `${name}-${variant}.onnx`);
  const gguf = readGguf(join(FOLDER, `${name}.gguf`));
  const { shape } = buildDecoderGraph({ source: ggufSource(gguf), outputPath: graphPath, variant });
  return workshop.load({ graphPath, shape });
}

describe.each(['llama', 'llama3', 'qwen2', 'qwen3'])('graphs of %s', (name) => {
  it('compute what transformers computes, at every position', () => {
    const { tokens, logits } = reference(name);
    const decoder = load(name, 'fp32');
    const { vocabSize } = decoder;
    expect(logits.length).toBe(tokens.length * vocabSize);
    for (let past = 0; past < tokens.length; past++) {
      const expected = logits.subarray(past * vocabSize, (past + 1) * vocabSize);
      const prefilled = decoder.prefill(0, tokens.slice(0, past + 1), 0, true)!.slice();
      const decoded = decoder.decode(1, 1, [tokens[past]!], [past]);
      for (let id = 0; id < vocabSize; id++) {
        expect(Math.abs(prefilled[id]! - expected[id]!), `prefill, position ${past}, id ${id}`).toBeLessThan(
          2e-4,
        );
        expect(Math.abs(decoded[id]! - expected[id]!), `decode, position ${past}, id ${id}`).toBeLessThan(
          2e-4,
        );
      }
    }
  });

  // Random weights are harder on 8 bit than trained ones, and single positions scatter widely: measured per architecture,
  // median 0.9991 to 0.9997, worst 0.9953 to 0.9982. A wrong weight or zero point falls far below either bound.
  it('stay close to it in 8 bit', () => {
    const { tokens, logits } = reference(name);
    const decoder = load(name, '8bit');
    const { vocabSize } = decoder;
    const cosines = tokens
      .map((_, past) =>
        cosine(
          logits.subarray(past * vocabSize, (past + 1) * vocabSize),
          decoder.prefill(0, tokens.slice(0, past + 1), 0, true)!,
        ),
      )
      .sort((a, b) => a - b);
    expect(cosines[Math.floor(cosines.length / 2)]).toBeGreaterThan(0.998);
    expect(cosines[0]).toBeGreaterThan(0.99);
  });
});
