import { describe, expect, it } from 'vitest';
import { type ProgressOutput, renderProgress } from './progress.ts';
import type { FetchProgress } from './source.ts';

function setup(isTTY: boolean, columns = 100) {
  const written: string[] = [];
  let nowMs = 0;
  const output: ProgressOutput = { isTTY, columns, write: (text) => written.push(text) };
  const renderer = renderProgress(output, () => nowMs);
  const at = (ms: number, change: Partial<FetchProgress> = {}) => {
    nowMs = ms;
    renderer.update({
      model: 'tiny',
      phase: 'downloading',
      source: 'hub',
      receivedBytes: 0,
      totalBytes: 100e6,
      ...change,
    });
  };
  return { written, renderer, at };
}

describe('progress on a terminal', () => {
  it('redraws one line with bar, share, bytes, rate and time left', () => {
    const { written, at } = setup(true);
    at(0);
    at(1_000, { receivedBytes: 10e6 });
    expect(written.at(-1)).toBe(
      '\rtiny: downloading, hub  [##......................]  10 %  10 MB of 100 MB  10 MB/s  9 s left\x1b[K',
    );
  });

  it('is not redrawn more than ten times a second, but always at the end', () => {
    const { written, at } = setup(true);
    for (let ms = 0; ms < 1_000; ms += 10) at(ms, { receivedBytes: ms });
    expect(written).toHaveLength(10);
    at(1_000, { receivedBytes: 100e6 });
    expect(written.at(-1)).toContain('100 %');
  });

  it.each([20, 40, 60, 80])('never takes more than one line of %i columns', (columns) => {
    const { written, at } = setup(true, columns);
    at(0);
    at(1_000, { receivedBytes: 10e6 });
    for (const text of written)
      expect(text.replace('\r', '').replace('\x1b[K', '').length).toBeLessThan(columns);
  });

  it('ends its line once', () => {
    const { written, renderer, at } = setup(true);
    renderer.end();
    expect(written).toEqual([]);
    at(0);
    renderer.end();
    renderer.end();
    expect(written.slice(1)).toEqual(['\n']);
  });

  it('leaves the bytes of an earlier try out of the rate', () => {
    const { written, at } = setup(true);
    at(0, { receivedBytes: 50e6 });
    at(1_000, { receivedBytes: 51e6 });
    expect(written.at(-1)).toContain('1.0 MB/s  49 s left');
  });
});

describe('progress in a log', () => {
  it('is a plain line at each new phase and every five seconds', () => {
    const { written, at } = setup(false);
    at(0, { phase: 'connecting' });
    for (let ms = 100; ms <= 11_000; ms += 100) at(ms, { receivedBytes: ms * 1_000 });
    at(11_050, { phase: 'verifying', receivedBytes: 1e6 });
    expect(written).toEqual([
      'tiny: asking hub\n',
      'tiny: downloading, hub  0 %  0.1 MB of 100 MB\n',
      'tiny: downloading, hub  5 %  5.1 MB of 100 MB  1.0 MB/s  1 min 35 s left\n',
      'tiny: downloading, hub  10 %  10 MB of 100 MB  1.0 MB/s  1 min 30 s left\n',
      'tiny: checking  1 %  1.0 MB of 100 MB\n',
    ]);
  });

  it('says that another process is at work', () => {
    const { written, at } = setup(false);
    at(0, { phase: 'waiting' });
    expect(written).toEqual(['tiny: another process is fetching it, waiting\n']);
  });
});
