import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { replayTrace, traceIn } from './replay-trace.ts';

const FLAGS = { engines: 2, load: 1, seed: 1 };

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'trace-')), 'trace');
  writeFileSync(path, text);
  return path;
}

/** Two requests a second whose prompts begin alike in pairs. */
function mooncake(count: number): string {
  return Array.from({ length: count }, (_, i) =>
    JSON.stringify({
      timestamp: 500 * i,
      input_length: 2_048,
      output_length: 20,
      hash_ids: [i % 2, 9, 9, 9],
    }),
  ).join('\n');
}

const AZURE = `TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109\n`;

test('a trace of Mooncake runs through simulated engines, beside taking turns', async () => {
  const trace = await traceIn(file(mooncake(60)));
  const result = JSON.parse(replayTrace(trace!, 'balanced', { ...FLAGS, json: true }));
  expect(Object.keys(result)).toEqual(['round-robin', 'balanced']);
  expect(result.balanced).toMatchObject({ goodput: 1, failed: 0, fairness: 1 });
  expect(result.balanced.hitRate).toBeGreaterThan(0.5);
  expect(result.balanced.usdPerThousand).toBeLessThan(result['round-robin'].usdPerThousand + 0.01);
});

test('more load makes it worse, in words too', async () => {
  const trace = (await traceIn(file(mooncake(200))))!;
  const at = (load: number) =>
    JSON.parse(replayTrace(trace, 'round-robin', { ...FLAGS, engines: 1, load, json: true }))['round-robin'];
  expect(at(100).goodput).toBeLessThan(at(1).goodput);
  expect(replayTrace(trace, 'round-robin', FLAGS)).toMatch(/goodput +100\.0 %\n/);
});

test('a trace of Azure is read, with times to a tenth of a microsecond', async () => {
  const trace = await traceIn(file(AZURE));
  expect(trace).toMatchObject({
    quantumMs: 0,
    requests: [{ arrivalMs: 0, promptTokens: 374 }, { outputTokens: 109 }],
  });
  expect(trace!.requests[1]!.arrivalMs).toBeCloseTo(4_314.579, 3);
});

test('what is no trace is none, and a broken one names the line', async () => {
  expect(await traceIn(file('{"id":"dec_1"}\n'))).toBeUndefined();
  expect(await traceIn(file(''))).toBeUndefined();
  await expect(traceIn(file(`${AZURE}nonsense\n`))).rejects.toThrow("line 4 is not of the trace's format");
  await expect(traceIn(file(`${mooncake(1)}\nnonsense`))).rejects.toThrow('line 2 is no JSON');
});

test('no engines cannot be simulated', async () => {
  const trace = (await traceIn(file(AZURE)))!;
  expect(() => replayTrace(trace, 'balanced', { ...FLAGS, engines: 0 })).toThrow('more than 0');
});
