import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeTinyClassifier } from '../../test/encoder/tiny-encoder.ts';
import { realEncoderPath } from '../../test/model-file.ts';
import { EncoderLanes } from './lanes.ts';
import { EncoderSession } from './session.ts';

const OPTIONS = {
  graphPath: join(realEncoderPath(), 'model.onnx'),
  threads: 2,
  spinning: false,
  padId: 0,
  readout: { kind: 'vector', pooling: 'mean' },
} as const;

const row = (length: number, seed: number) => ({
  ids: Array.from({ length }, (_, i) =>
    i === 0 ? 101 : i === length - 1 ? 102 : 1_996 + ((i * 97 + seed * 31) % 20_000),
  ),
});

describe('the lanes of an encoder', () => {
  let session: EncoderSession;
  let lanes: EncoderLanes;
  beforeAll(async () => {
    session = await EncoderSession.load(OPTIONS);
    lanes = await EncoderLanes.load(OPTIONS);
  });
  afterAll(() => {
    lanes?.close();
    session?.close();
  });

  it('give the vectors of the session, many batches at a time, while the calling thread goes on', async () => {
    expect(lanes.count).toBe(2);
    const batches = Array.from({ length: 8 }, (_, i) => [row(3 + i, i), row(30 - i, i), row(12, i)]);
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    const found = await Promise.all(batches.map((rows) => lanes.run(rows)));
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(0);
    for (const [i, rows] of batches.entries()) {
      const expected = await session.run(rows);
      for (const [r, vector] of expected.entries())
        for (const [d, value] of vector.entries()) expect(found[i]![r]![d]).toBeCloseTo(value, 5);
    }
  });

  it('give the logits of a classifier', async () => {
    const graphPath = join(writeTinyClassifier({ weights: { good: [1, 2, 3] } }), 'onnx', 'model.onnx');
    const options = { ...OPTIONS, graphPath, readout: { kind: 'logits' } } as const;
    const classifier = await EncoderSession.load(options);
    const itsLanes = await EncoderLanes.load(options);
    const rows = [{ ids: [2, 4, 3] }, { ids: [2, 4, 4, 3] }];
    expect(await itsLanes.run(rows)).toEqual(await classifier.run(rows));
    itsLanes.close();
    classifier.close();
  });

  it('refuse what the graph refuses, and go on', async () => {
    await expect(lanes.run([{ ids: [30_522] }])).rejects.toThrow(/indices|out of/);
    expect((await lanes.run([row(5, 1)]))[0]!.length).toBe(384);
  });
});
