import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cosine } from '../../test/encoder/server.ts';
import { writeTinyClassifier } from '../../test/encoder/tiny-encoder.ts';
import { realEncoderPath } from '../../test/model-file.ts';
import { addsBytesExactly } from '../../test/processor.ts';
import { GraphView } from './graph-view.ts';
import { ensureIntegerGraph } from './integer-cache.ts';
import { integerGraphOf } from './integer-graph.ts';
import { EncoderSession, type EncoderSessionOptions } from './session.ts';

const cacheDir = mkdtempSync(join(tmpdir(), 'qianmen-integers-'));
const OPTIONS: Omit<EncoderSessionOptions, 'graphPath'> = {
  threads: 1,
  spinning: false,
  padId: 0,
  readout: { kind: 'vector', pooling: 'mean' },
};

/** Tokens that never met, from 2 to 200 of them: worse than any text. */
const ROWS = [2, 200, 5, 17, 64, 9, 31].map((length, row) => ({
  ids: Array.from({ length }, (_, i) =>
    i === 0 ? 101 : i === length - 1 ? 102 : 1_996 + ((i * 97 + row * 1_031) % 25_000),
  ),
}));

it('normalises several numbers at a time as the file does one by one', async () => {
  const graphPath = join(realEncoderPath(), 'model.onnx');
  const view = new GraphView(readFileSync(graphPath));
  const rewritten = integerGraphOf(view, [], new Map());
  expect(rewritten.includes('InstanceNormalization')).toBe(true);
  expect(rewritten.includes('LayerNormalization/')).toBe(false);
  const path = join(cacheDir, 'normalised.onnx');
  writeFileSync(path, rewritten);
  const sessions = [graphPath, path].map((each) => EncoderSession.load({ ...OPTIONS, graphPath: each }));
  const [expected, found] = await Promise.all(sessions.map(async (session) => (await session).run(ROWS)));
  for (const [i, vector] of expected!.entries())
    for (const [d, value] of vector.entries()) expect(found![i]![d]).toBeCloseTo(value, 4);
  for (const session of sessions) await (await session).close();
  rmSync(path);
});

describe('an encoder in integers', () => {
  const graphPath = join(realEncoderPath(), 'model.onnx');
  const ensure = () =>
    ensureIntegerGraph({
      session: { ...OPTIONS, graphPath },
      samples: ROWS.slice(2, 5),
      cacheDirs: [cacheDir],
    });
  let path: string;
  let exact: EncoderSession;
  let integers: EncoderSession;
  beforeAll(async () => {
    path = (await ensure())!;
    exact = await EncoderSession.load({ ...OPTIONS, graphPath });
    integers = await EncoderSession.load({ ...OPTIONS, graphPath: path });
  }, 60_000);
  afterAll(async () => {
    await exact?.close();
    await integers?.close();
    rmSync(cacheDir, { recursive: true, force: true });
  });

  it('gives the vectors of the file, but for a thousandth, or two where sums of bytes saturate', async () => {
    const closeness = addsBytesExactly() ? 0.999 : 0.998;
    const [expected, found] = [await exact.run(ROWS), await integers.run(ROWS)];
    for (const [i, vector] of expected.entries())
      expect(cosine(vector, found[i]!), `row ${i}`).toBeGreaterThan(closeness);
  });

  it('gives a row the same vector alone and beside others, however long they are', async () => {
    const together = await integers.run(ROWS);
    for (const [i, row] of ROWS.entries()) {
      const [alone] = await integers.run([row]);
      const difference = Math.max(...alone!.map((value, d) => Math.abs(value - together[i]![d]!)));
      expect(difference, `row ${i}`).toBeLessThan(1e-5);
    }
  });

  it('is made once', async () => {
    const { mtimeMs } = statSync(path);
    expect(await ensure()).toBe(path);
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
    expect(readdirSync(cacheDir).length).toBe(1);
  });

  it('is not made of a graph that has no places for integers', async () => {
    const tiny = join(writeTinyClassifier({ weights: { good: [1] } }), 'onnx', 'model.onnx');
    const session = { ...OPTIONS, graphPath: tiny, readout: { kind: 'logits' } } as const;
    const folder = join(cacheDir, 'tiny');
    expect(await ensureIntegerGraph({ session, samples: [{ ids: [2, 3] }], cacheDirs: [folder] })).toBe(
      undefined,
    );
  });

  it('leaves nothing behind where the file cannot be read', async () => {
    const broken = join(mkdtempSync(join(tmpdir(), 'qianmen-broken-')), 'model.onnx');
    writeFileSync(broken, 'not a graph');
    const folder = join(cacheDir, 'broken');
    const session = { ...OPTIONS, graphPath: broken };
    await expect(ensureIntegerGraph({ session, samples: [], cacheDirs: [folder] })).rejects.toThrow();
    expect(readdirSync(folder)).toEqual([]);
  });
});
