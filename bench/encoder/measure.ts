/**
 * Texts per second of 32 concurrent HTTP clients, one text per request, against a loop over transformers.js on the same
 * graph in a process of its own, and the processor time that either takes. The two alternate; machines drift, so that only
 * the ratios of one run mean something, and where others use the machine too, only those of processor time.
 *
 *   node bench/encoder/measure.ts [--model DIRECTORY] [--clients 32] [--threads 2] [--seconds 5] [--rounds 3]
 *
 * The model is by default the one that `npm run qianmen -- pull all-minilm-l6-v2` brings. Installs transformers.js on the first time. Writes RESULTS.md
 * beside itself.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { askFor, startServer, vectorsOf } from './served.ts';
import { type Corpus, texts } from './texts.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { values } = parseArgs({
  options: {
    model: { type: 'string', default: join(root, 'data/models/all-minilm-l6-v2') },
    clients: { type: 'string', default: '32' },
    threads: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
  },
});
const clients = Number(values.clients);
const threads = Number(values.threads);
const seconds = Number(values.seconds);
const roundCount = Number(values.rounds);

interface Figures {
  /** Texts per second. */
  readonly rate: number;
  /** Processor time per text: of the loop's process, or of the encoder's. */
  readonly cpuMs: number;
  /** Processor time per text of the gateway, which the loop has no need of. */
  readonly gatewayCpuMs: number;
}

interface Round {
  readonly loop: Figures;
  readonly served: Figures;
  /** Texts per batch. */
  readonly batchSize: number;
}

await install();
const server = await startServer({ path: values.model, threads });
const results = new Map<Corpus, Round[]>();
try {
  for (const corpus of ['queries', 'mixed'] as const) {
    await overHttp(corpus, 1);
    const rounds: Round[] = [];
    for (let round = 0; round < roundCount; round++) {
      const loop = await loopAlone(corpus);
      const before = await batches();
      const served = await overHttp(corpus, seconds);
      const after = await batches();
      rounds.push({ loop, served, batchSize: (after.texts - before.texts) / (after.count - before.count) });
    }
    results.set(corpus, rounds);
  }
} finally {
  await server.close();
}
const report = render();
writeFileSync(new URL('RESULTS.md', import.meta.url), report);
process.stdout.write(report);

async function install(): Promise<void> {
  const here = join(root, 'bench/encoder');
  if (existsSync(join(here, 'node_modules/.package-lock.json'))) return;
  const flags = ['--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund'];
  await promisify(execFile)('npm', ['install', ...flags], { cwd: here });
}

async function loopAlone(corpus: Corpus): Promise<Figures> {
  const script = join(root, 'bench/encoder/transformers-js.ts');
  const args = [script, values.model, String(threads), String(seconds), corpus];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { first, ...figures } = JSON.parse(stdout) as { rate: number; cpuMs: number; first: number[] };
  await assertSameVector(texts(1, corpus)[0]!, first);
  return { ...figures, gatewayCpuMs: 0 };
}

/** Otherwise the two would not do the same work. */
async function assertSameVector(input: string, expected: readonly number[]): Promise<void> {
  const [vector] = await vectorsOf(server.url, [input]);
  const cosine = expected.reduce((sum, value, i) => sum + value * vector![i]!, 0);
  if (!(cosine > 0.999)) throw new Error(`the vectors differ: their cosine is ${cosine}`);
}

async function overHttp(corpus: Corpus, forSeconds: number): Promise<Figures> {
  const [gatewayPid, encoderPid] = [server.pid, encoderProcess()];
  const [gatewayBefore, encoderBefore] = [cpuMsOf(gatewayPid), cpuMsOf(encoderPid)];
  const { rate, requests } = await askFor(forSeconds, server.url, clients, texts(512, corpus));
  return {
    rate,
    cpuMs: (cpuMsOf(encoderPid) - encoderBefore) / requests,
    gatewayCpuMs: (cpuMsOf(gatewayPid) - gatewayBefore) / requests,
  };
}

function encoderProcess(): number {
  const { pid } = server;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);
}

/** User and system time so far; a tick of Linux is 10 ms. */
function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function batches(): Promise<{ texts: number; count: number }> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const value = (name: string) =>
    Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)`, 'm').exec(metrics)?.[1] ?? 0);
  return { texts: value('qianmen_encoder_batch_size_sum'), count: value('qianmen_encoder_batch_size_count') };
}

function render(): string {
  const range = (list: readonly number[], digits: number) => {
    const sorted = [...list].sort((a, b) => a - b);
    const shown = [sorted[Math.floor(sorted.length / 2)], sorted[0], sorted.at(-1)].map((v) =>
      v?.toFixed(digits),
    );
    return `${shown[0]} (${shown[1]}–${shown[2]})`;
  };
  const rows: readonly (readonly [what: string, read: (round: Round) => number, digits: number])[] = [
    ['loop: texts per second', (r) => r.loop.rate, 0],
    ['HTTP: texts per second', (r) => r.served.rate, 0],
    ['**ratio of texts per second**', (r) => r.served.rate / r.loop.rate, 2],
    ['texts per batch', (r) => r.batchSize, 1],
    ['loop: processor ms per text', (r) => r.loop.cpuMs, 2],
    ['HTTP: processor ms per text, encoder', (r) => r.served.cpuMs, 2],
    ['HTTP: processor ms per text, gateway', (r) => r.served.gatewayCpuMs, 2],
    ['**loop ÷ encoder, processor time**', (r) => r.loop.cpuMs / r.served.cpuMs, 2],
  ];
  const line = ([what, read, digits]: (typeof rows)[number]) =>
    `| ${what} | ${[...results.values()].map((rounds) => range(rounds.map(read), digits)).join(' | ')} |`;
  return `# Embeddings: ${clients} clients over HTTP against a loop over transformers.js

Made by \`node bench/encoder/measure.ts\` on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node};
all-MiniLM-L6-v2 (int8), ${threads} threads for either, one text per request. Clients, gateway and encoder share the cores, the
loop has them for itself. Median (min–max) of ${roundCount} alternating rounds of ${seconds} s.

| | ${[...results.keys()].join(' | ')} |
|---|${'---|'.repeat(results.size)}
${rows.map(line).join('\n')}
`;
}
