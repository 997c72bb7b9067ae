/**
 * Texts per second of 32 concurrent HTTP clients, one text per request, against a plain loop over the same model in a
 * process of its own. The two alternate; machines drift, so that only the ratios of one run mean something.
 *
 *   node bench/encoder/measure.ts [--model DIRECTORY] [--clients 32] [--threads 2] [--seconds 5] [--rounds 3]
 *
 * Writes RESULTS.md beside itself. Build first: the server runs from dist/.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { Pool } from 'undici';
import { stringify } from 'yaml';
import { texts } from './texts.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { values } = parseArgs({
  options: {
    model: { type: 'string', default: join(root, '.cache/models/all-minilm-l6-v2') },
    clients: { type: 'string', default: '32' },
    threads: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
  },
});
const clients = Number(values.clients);
const threads = Number(values.threads);
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const inputs = texts(512);

const folder = mkdtempSync(join(tmpdir(), 'qianmen-bench-'));
const server = await startServer();
const plain: number[] = [];
const served: number[] = [];
let batchSize = 0;
try {
  await httpRate(1);
  for (let round = 0; round < rounds; round++) {
    plain.push(await plainRate());
    served.push(await httpRate(seconds));
  }
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)`, 'm').exec(metrics)?.[1]);
  batchSize = value('qianmen_encoder_batch_size_sum') / value('qianmen_encoder_batch_size_count');
} finally {
  server.child.kill('SIGTERM');
  await once(server.child, 'exit');
  rmSync(folder, { recursive: true, force: true });
}
const report = render();
writeFileSync(new URL('RESULTS.md', import.meta.url), report);
process.stdout.write(report);

async function plainRate(): Promise<number> {
  const script = join(root, 'bench/encoder/one-by-one.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [
    script,
    values.model,
    String(threads),
    String(seconds),
  ]);
  return Number(stdout);
}

async function httpRate(forSeconds: number): Promise<number> {
  const pool = new Pool(server.url, { connections: clients });
  const startedAtMs = performance.now();
  const untilMs = startedAtMs + forSeconds * 1000;
  let next = 0;
  const client = async () => {
    while (performance.now() < untilMs) {
      const input = inputs[next++ % inputs.length];
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
  const rate = next / ((performance.now() - startedAtMs) / 1000);
  await pool.close();
  return rate;
}

async function startServer() {
  const file = join(folder, 'qianmen.yaml');
  const engine = { name: 'm', path: values.model, threads };
  writeFileSync(file, stringify({ dataDir: folder, engines: [engine] }));
  const child = spawn(process.execPath, ['dist/src/main.js', 'serve', '--config', file, '--port', '0'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < 10_000) output += text;
  });
  let url: string | undefined;
  for (;;) {
    url ??= /"url":"(http:[^"]+)\/v1"/.exec(output)?.[1];
    if (url !== undefined && (await fetch(`${url}/readyz`)).status === 200) return { url, child };
    if (child.exitCode !== null) throw new Error(`the server ended: ${output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function render(): string {
  const range = (list: readonly number[], digits = 0) => {
    const sorted = [...list].sort((a, b) => a - b);
    const shown = [sorted[Math.floor(sorted.length / 2)], sorted[0], sorted.at(-1)].map((v) =>
      v?.toFixed(digits),
    );
    return `${shown[0]} (${shown[1]}–${shown[2]})`;
  };
  const ratios = served.map((rate, i) => rate / (plain[i] ?? Number.NaN));
  return `# Embeddings: ${clients} clients over HTTP against a plain loop

Made by \`node bench/encoder/measure.ts\` on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node};
all-MiniLM-L6-v2 (int8), ${threads} threads for either. Clients, gateway and encoder share the cores; the plain loop has them for itself.
Median (min–max) of ${rounds} alternating rounds of ${seconds} s.

| what | measured |
|---|---|
| one by one in a loop, texts per second | ${range(plain)} |
| ${clients} clients over HTTP, texts per second | ${range(served)} |
| ratio, round by round | ${range(ratios, 2)} |
| texts per batch, mean | ${batchSize.toFixed(1)} |
`;
}
