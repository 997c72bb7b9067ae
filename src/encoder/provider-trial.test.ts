import { describe, expect, it } from 'vitest';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import type { BatchRunner } from './encoder-loop.ts';
import { assertFaster } from './provider-trial.ts';

const TEXTS = [{ ids: [1, 2, 3] }, { ids: [1, 2, 3, 4, 5] }, { ids: [1, 2] }];

let nowMs = 0;
/** Takes so long for a batch and for each of its rows; its first batch of a size takes a second more. */
function runner(batchMs: number, rowMs: number): BatchRunner {
  const sizes = new Set<number>();
  return {
    run: async (rows) => {
      nowMs += batchMs + rowMs * rows.length + (sizes.has(rows.length) ? 0 : 1_000);
      sizes.add(rows.length);
      return [];
    },
  };
}

const trial = (gpu: BatchRunner, cpu: BatchRunner) =>
  assertFaster('webgpu', { gpu, cpu }, TEXTS, () => nowMs);

describe('the trial of a GPU under auto', () => {
  it('keeps one that is faster, whatever it compiles at first', async () => {
    await expect(trial(runner(3, 0.1), runner(1, 4))).resolves.toBeUndefined();
  });

  it('passes over one that takes longer for a text than it gains with several', async () => {
    const refused = trial(runner(20, 0), runner(1, 4));
    await expect(refused).rejects.toThrow(ProviderError);
    await expect(refused).rejects.toMatchObject({
      missing: 'it is slower than the CPU: texts that take it 40 ms take the CPU 18',
    });
  });
});
