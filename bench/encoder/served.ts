import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { stringify } from 'yaml';

export interface Served {
  readonly url: string;
  readonly pid: number;
  /** What the encoder said when it was ready: its model, and where it computes. */
  readonly detail: string;
  close(): Promise<void>;
}

/** A gateway in a process of its own, with one encoder, called `m`. Throws an Error with the reason when the encoder does not start. */
export async function startServer(engine: object): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-bench-'));
  const file = join(folder, 'qianmen.yaml');
  writeFileSync(file, stringify({ dataDir: folder, engines: [{ name: 'm', ...engine }] }));
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--config', file, '--port', '0'], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const close = async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  let [output, url] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < 20_000) output += text;
  });
  const last = (pattern: RegExp) => pattern.exec(output)?.[1];
  for (;;) {
    url ||= last(/"url":"(http:[^"]+)\/v1"/) ?? '';
    const detail = last(/"state":"ready","detail":"(.*?)","/);
    if (detail !== undefined && url !== '') return { url, pid: child.pid!, detail, close };
    const reason = last(/"state":"down","detail":"(.*?)","/);
    if (child.exitCode !== null || reason !== undefined) {
      await close();
      throw new Error(reason ?? output);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Keeps clients busy, one request each at a time; gives requests per second. */
export async function askFor(
  seconds: number,
  url: string,
  clients: number,
  inputs: readonly (string | readonly string[])[],
): Promise<{ readonly rate: number; readonly requests: number }> {
  const pool = new Pool(url, { connections: clients });
  const startedAtMs = performance.now();
  const untilMs = startedAtMs + seconds * 1000;
  let requests = 0;
  const client = async () => {
    while (performance.now() < untilMs) {
      const input = inputs[requests++ % inputs.length];
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/v1/embeddings',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'm', input, encoding_format: 'base64' }),
      });
      const text = await body.text();
      if (statusCode !== 200) throw new Error(`${statusCode}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const rate = requests / ((performance.now() - startedAtMs) / 1000);
  await pool.close();
  return { rate, requests };
}

/** The vectors of some texts, in one request. */
export async function vectorsOf(url: string, input: readonly string[]): Promise<number[][]> {
  const response = await fetch(`${url}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', input }),
  });
  const { data } = (await response.json()) as { data: { embedding: number[] }[] };
  return data.map(({ embedding }) => embedding);
}
