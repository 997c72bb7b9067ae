import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realEncoderPath } from '../../test/model-file.ts';
import { ModelFileError } from '../model-file-error.ts';
import { EncoderSession } from './session.ts';

const OPTIONS = {
  threads: 1,
  spinning: false,
  padId: 0,
  readout: { kind: 'vector', pooling: 'mean' },
} as const;

/** Rows as BERT has them, from 3 to 120 tokens. */
const ROWS = [3, 120, 5, 17, 64, 3].map((length, row) => ({
  ids: Array.from({ length }, (_, i) =>
    i === 0 ? 101 : i === length - 1 ? 102 : 1_996 + ((i * 97 + row * 31) % 20_000),
  ),
}));

describe('an encoder graph', () => {
  let session: EncoderSession;
  beforeAll(async () => {
    session = await EncoderSession.load({ ...OPTIONS, graphPath: join(realEncoderPath(), 'model.onnx') });
  });
  afterAll(() => session?.close());

  it('gives a row the same vector alone and beside rows forty times as long', async () => {
    const together = await session.run(ROWS);
    for (const [i, row] of ROWS.entries()) {
      const [alone] = await session.run([row]);
      expect(alone!.length).toBe(384);
      for (const [d, value] of alone!.entries())
        expect(Math.abs(value - together[i]![d]!)).toBeLessThan(1e-5);
    }
  });

  it('tells different rows apart, and segments too', async () => {
    const [row] = ROWS;
    const [a, b, c] = await session.run([row!, ROWS[5]!, { ...row!, typeIds: [1, 1, 1] }]);
    expect(a).not.toEqual(b);
    expect(a).not.toEqual(c);
  });

  it('that is not one is refused with the name of its file', async () => {
    const graphPath = join(mkdtempSync(join(tmpdir(), 'qianmen-graph-')), 'model.onnx');
    writeFileSync(graphPath, 'not a graph');
    const refused = EncoderSession.load({ ...OPTIONS, graphPath });
    await expect(refused).rejects.toThrow(ModelFileError);
    await expect(refused).rejects.toThrow(graphPath);
  });

  it('without logits is refused where logits are wanted', async () => {
    const graphPath = join(realEncoderPath(), 'model.onnx');
    const refused = EncoderSession.load({ ...OPTIONS, graphPath, readout: { kind: 'logits' } });
    await expect(refused).rejects.toThrow('its outputs are last_hidden_state; none is a float32 logits');
  });
});
