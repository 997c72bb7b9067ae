import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { BlockWriter } from './block-writer.ts';
import type { AttemptLabel } from './label.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const LABEL = {
  organizationId: 'org_1',
  projectId: 'proj_1',
  endpoint: 'chat',
  model: 'm',
  deployment: 'b/m',
  kind: 'first',
  outcome: 'delivered',
  measured: 1,
} as const satisfies Omit<AttemptLabel, 'keyId'>;
const ROW = {
  settlementId: 's',
  number: 0,
  atMs: 1,
  requestId: 'r',
  promptTokens: 5,
  cachedTokens: 0,
  completionTokens: 10,
  reasoningTokens: 0,
  costNanoUsd: 25_000,
  wasteNanoUsd: 0,
  durationMs: 1,
};

it('keeps of labels no bytes beyond their texts, whatever else was made at the same time', () => {
  const writer = new BlockWriter();
  const labels = Array.from({ length: 20_000 }, (_, i): AttemptLabel => ({ ...LABEL, keyId: `key_${i}` }));
  const keptBytes = () => {
    // What one finds is freed by another thread, for which the next one waits.
    collect();
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = keptBytes();
  for (const label of labels) {
    writer.add({ type: 'settled', settlementId: 's', rows: [{ ...ROW, label }] });
    Buffer.from('what somebody else needs for a moment'.repeat(30));
    writer.clear();
  }
  // Slices would keep 25 MB. What other tests of this process have left comes and goes meanwhile.
  expect(keptBytes() - before).toBeLessThan(10e6);
  // Both are still there.
  writer.add({ type: 'open', settlementId: 's', rows: [{ ...ROW, label: labels.at(-1)! }] });
  expect(writer.isEmpty).toBe(false);
});
