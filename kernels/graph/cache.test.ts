import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ggufBytes } from '../../test/fixtures/gguf-writer.ts';
import { tinyModel } from '../../test/fixtures/tiny-model.ts';
import { Decoder } from '../decoder.ts';
import { type CachedDecoderGraph, ensureDecoderGraph } from './cache.ts';

let folder: string;
let ggufPath: string;
let cacheDir: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'graph-cache-'));
  ggufPath = join(folder, 'tiny.gguf');
  cacheDir = join(folder, 'cache', 'graphs');
  writeFileSync(ggufPath, ggufBytes(tinyModel({ architecture: 'llama' })));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ensure = () => ensureDecoderGraph(ggufPath, cacheDir);
const builtAtMs = ({ graphPath }: CachedDecoderGraph) => statSync(graphPath).mtimeMs;

function expectUsable({ graphPath, shape }: CachedDecoderGraph): void {
  const decoder = Decoder.load({
    graphPath,
    shape,
    slots: 1,
    contextTokens: 16,
    threads: 1,
    spinning: false,
  });
  expect(decoder.decode(0, 1, [1], [0]).every(Number.isFinite)).toBe(true);
  decoder.close();
}

/** Runs ensureDecoderGraph in a process of its own, below a shell's resource limits. */
async function ensureInProcess(limits: string): Promise<{ failed: boolean; stderr: string }> {
  const script = `
    import { ensureDecoderGraph } from ${JSON.stringify(fileURLToPath(new URL('./cache.ts', import.meta.url)))};
    ensureDecoderGraph(${JSON.stringify(ggufPath)}, ${JSON.stringify(cacheDir)});`;
  const command = `${limits}; exec "$0" --input-type=module -e "$1"`;
  try {
    const { stderr } = await promisify(execFile)('bash', ['-c', command, process.execPath, script]);
    return { failed: false, stderr };
  } catch (error) {
    return { failed: true, stderr: (error as { stderr: string }).stderr };
  }
}

describe('ensureDecoderGraph', () => {
  it('builds once, and then returns the same', () => {
    const first = ensure();
    expectUsable(first);
    expect(first.shape).toMatchObject({ architecture: 'llama', layers: 2, vocabSize: 100, headDim: 16 });
    const builtAt = builtAtMs(first);
    expect(ensure()).toEqual(first);
    expect(builtAtMs(first)).toBe(builtAt);
  });

  it('builds anew when the source changed, and drops the old graph', () => {
    const first = ensure();
    writeFileSync(ggufPath, ggufBytes(tinyModel({ architecture: 'qwen2' })));
    const second = ensure();
    expect(second.shape.architecture).toBe('qwen2');
    expect(existsSync(first.graphPath)).toBe(false);
    utimesSync(ggufPath, new Date(), new Date(Date.now() - 60_000));
    const third = ensure();
    expect(third.graphPath).not.toBe(second.graphPath);
    expect(readdirSync(cacheDir)).toHaveLength(1);
  });

  it('keeps the graphs of other files', () => {
    const first = ensure();
    const otherPath = join(folder, 'other.gguf');
    writeFileSync(otherPath, ggufBytes(tinyModel({ architecture: 'qwen3' })));
    const other = ensureDecoderGraph(otherPath, cacheDir);
    expect(ensure()).toEqual(first);
    expect(existsSync(other.graphPath)).toBe(true);
  });

  it.each<[string, (path: string) => void]>([
    ['graph that was cut', (path) => truncateSync(path, 100)],
    ['data file that was cut', (path) => truncateSync(`${path}.data`, 100)],
    ['data file that is gone', (path) => rmSync(`${path}.data`)],
    ['manifest that is gone', (path) => rmSync(join(dirname(path), 'manifest.json'))],
    ['manifest that is damaged', (path) => writeFileSync(join(dirname(path), 'manifest.json'), '{"builder')],
  ])('does not accept a %s', (_name, damage) => {
    damage(ensure().graphPath);
    expectUsable(ensure());
  });

  it('leaves nothing that would be accepted when the disk is full', async () => {
    // A limit on the size of files stands in for the disk: writes beyond it fail in the same way.
    const result = await ensureInProcess('trap "" XFSZ; ulimit -f 60');
    expect(result.failed).toBe(true);
    expect(result.stderr).toMatch(/EFBIG/);
    expect(readdirSync(cacheDir)).toEqual([]);
    expectUsable(ensure());
  });

  it('leaves nothing that would be accepted when the process dies while building', async () => {
    const result = await ensureInProcess('ulimit -f 60');
    expect(result.failed).toBe(true);
    const left = readdirSync(cacheDir);
    expectUsable(ensure());
    // Leftovers stay until nobody can be building there any more.
    for (const name of left) utimesSync(join(cacheDir, name), 0, 0);
    utimesSync(ggufPath, 0, 1);
    ensure();
    expect(readdirSync(cacheDir)).toHaveLength(1);
  });

  it('builds in parallel processes without harm', async () => {
    const results = await Promise.all(Array.from({ length: 3 }, () => ensureInProcess('true')));
    expect(results.map(({ failed }) => failed)).toEqual([false, false, false]);
    expect(readdirSync(cacheDir)).toHaveLength(1);
    expectUsable(ensure());
  });

  it('passes over foreign files in the cache', () => {
    mkdirSync(join(cacheDir, 'notes'), { recursive: true });
    writeFileSync(join(cacheDir, 'notes.txt'), 'mine');
    ensure();
    expect(readdirSync(cacheDir)).toEqual(expect.arrayContaining(['notes', 'notes.txt']));
  });

  it('names a file that is missing or damaged', () => {
    expect(() => ensureDecoderGraph(join(folder, 'none.gguf'), cacheDir)).toThrow(
      /none\.gguf: there is no such file/,
    );
    truncateSync(ggufPath, 1000);
    expect(ensure).toThrow(/tiny\.gguf: .*truncated/);
    expect(readdirSync(cacheDir)).toEqual([]);
  });
});
