import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Check } from '../../src/doctor/check.ts';
import { realEncoderPath } from '../model-file.ts';
import { addsBytesExactly } from '../processor.ts';

const folder = mkdtempSync(join(tmpdir(), 'qianmen-doctor-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function doctor(engines: readonly object[]): Promise<Check[]> {
  const file = join(folder, 'qianmen.yaml');
  writeFileSync(file, stringify({ dataDir: folder, listen: { port: 0 }, engines }));
  const args = ['src/main.ts', 'doctor', '--json', '--config', file];
  return new Promise((resolve) =>
    // It exits with 1 when something is wrong, which is for the checks to say.
    execFile(process.execPath, args, (_error, stdout) => resolve(JSON.parse(stdout).checks)),
  );
}

it('the doctor tells what an encoder does, how and how fast, and which of its settings are not its own', async () => {
  const path = realEncoderPath();
  const checks = await doctor([
    { path, name: 'fast', threads: 2, provider: 'cpu' },
    { path, name: 'exact', threads: 1, provider: 'cpu', precision: 'float32' },
    { path, name: 'confused', slots: 3 },
  ]);
  const [fast, exact, confused] = ['fast', 'exact', 'confused'].map(
    (name) => checks.find((check) => check.name === name)!,
  );
  expect(fast!.detail).toContain('BertModel (embed), inputs of 256 tokens, vectors of 384 numbers; ');
  if (addsBytesExactly()) expect(fast!.detail).toContain('in 8-bit integers; ');
  expect(fast!.detail).toContain('; up to 2 batches side by side');
  expect(exact!.detail).not.toContain('integers');
  for (const check of [fast, exact]) {
    expect(check).toMatchObject({ status: 'ok', facts: { dimensions: 384, path } });
    expect((check!.facts as { speed: { texts: number } }).speed.texts).toBeGreaterThan(0);
  }
  expect(confused).toMatchObject({ status: 'failed', detail: expect.stringMatching(/encoder.*`slots`/) });
}, 60_000);
