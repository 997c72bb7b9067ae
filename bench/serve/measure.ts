/**
 * Measures the whole server on this machine: start times, memory, tokens per second of the embedded model at 1 and 8
 * clients, and requests per second relayed, as a ratio to the same load sent straight to the upstream.
 *
 *   node bench/serve/measure.ts [--model FILE.gguf] [--seconds 5] [--rounds 3]
 *
 * Builds first. Writes RESULTS.md beside itself. Machines drift: only the ratios of one run mean something.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { stringify } from 'yaml';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { values } = parseArgs({
  options: {
    model: { type: 'string', default: join(root, 'data/models/smollm2-135m-instruct.gguf') },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);

if (!existsSync(values.model)) {
  process.stderr.write(
    `There is no ${values.model}: fetch it with \`npm run -s qianmen -- pull smollm2-135m-instruct\`, or name another with --model.\n`,
  );
  process.exit(1);
}
execFileSync(process.execPath, [join(root, 'src/setup.mjs')], { stdio: 'inherit' });

interface Server {
  readonly url: string;
  readonly child: ChildProcess;
}

const folder = mkdtempSync(join(tmpdir(), 'qianmen-bench-'));
const children: ChildProcess[] = [];
try {
  const model = join(folder, 'model.gguf');
  linkOrCopy(values.model, model);
  const cold = await timeEngineStart(model);
  const warm = await timeEngineStart(model);
  const engine = await measureEngine(model);
  const relay = await measureRelay();
  const report = render({ cold, warm, engine, relay });
  writeFileSync(new URL('RESULTS.md', import.meta.url), report);
  process.stdout.write(report);
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

/** From the process's start until /readyz says yes. */
async function timeEngineStart(model: string): Promise<number> {
  const startedAtMs = performance.now();
  const server = await startGateway({ engines: [{ name: 'm', path: model }] });
  await untilReady(server.url);
  const tookMs = performance.now() - startedAtMs;
  await stop(server);
  return tookMs;
}

async function measureEngine(model: string) {
  const server = await startGateway({ engines: [{ name: 'm', path: model }] });
  await untilReady(server.url);
  const idleRss = residentMiB(server.child);
  const tokensPerSecond = new Map<number, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const clients of [1, 8]) {
      const measured = await tokenRate(server.url, clients);
      tokensPerSecond.set(clients, [...(tokensPerSecond.get(clients) ?? []), measured]);
    }
  }
  const loadedRss = residentMiB(server.child);
  await stop(server);
  return { idleRss, loadedRss, tokensPerSecond };
}

/** Clients that stream one 96-token reply after another, for the set time. */
async function tokenRate(url: string, clients: number): Promise<number> {
  const pool = new Pool(url, { connections: clients });
  const startedAtMs = performance.now();
  const until = startedAtMs + seconds * 1000;
  let tokens = 0;
  const client = async (name: number) => {
    while (performance.now() < until) {
      const body = JSON.stringify({
        model: 'm',
        messages: [{ role: 'user', content: `Client ${name}: write about rivers, trade and cities.` }],
        max_tokens: 96,
        ignore_eos: true,
        stream: true,
        stream_options: { include_usage: true },
      });
      const text = await post(pool, '/v1/chat/completions', body);
      tokens += Number(/"completion_tokens":(\d+)/.exec(text)?.[1] ?? 0);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, i) => client(i)));
  const rate = tokens / ((performance.now() - startedAtMs) / 1000);
  await pool.close();
  return rate;
}

async function measureRelay() {
  const upstream = await startFakeUpstream();
  const gateway = await startGateway({
    upstreams: [{ name: 'fake', url: `${upstream.url}/v1` }],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  });
  const direct: number[] = [];
  const relayed: number[] = [];
  await requestRate(gateway.url, 2);
  for (let round = 0; round < rounds; round++) {
    direct.push(await requestRate(upstream.url, seconds));
    relayed.push(await requestRate(gateway.url, seconds));
  }
  const rss = residentMiB(gateway.child);
  await stop(gateway);
  await stop(upstream);
  return { direct, relayed, rss };
}

/** Closed loop, 32 connections, 1 KB bodies, not streamed. */
async function requestRate(url: string, forSeconds: number): Promise<number> {
  const pool = new Pool(url, { connections: 32 });
  const body = JSON.stringify({
    model: 'm',
    messages: [{ role: 'user', content: 'x'.repeat(900) }],
    max_tokens: 4,
  });
  const startedAtMs = performance.now();
  const until = startedAtMs + forSeconds * 1000;
  let requests = 0;
  const client = async () => {
    for (; performance.now() < until; requests++) await post(pool, '/v1/chat/completions', body);
  };
  await Promise.all(Array.from({ length: 32 }, client));
  const rate = requests / ((performance.now() - startedAtMs) / 1000);
  await pool.close();
  return rate;
}

async function post(pool: Pool, path: string, body: string): Promise<string> {
  const reply = await pool.request({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body,
  });
  const text = await reply.body.text();
  if (reply.statusCode !== 200) throw new Error(`${reply.statusCode}: ${text}`);
  return text;
}

function startGateway(config: object): Promise<Server> {
  const file = join(folder, 'qianmen.yaml');
  writeFileSync(file, stringify({ dataDir: folder, log: { level: 'info' }, ...config }));
  return launch(
    [
      '--max-semi-space-size=8',
      '--single-threaded-gc',
      'dist/src/main.js',
      'serve',
      '--config',
      file,
      '--port',
      '0',
    ],
    /"url":"(http:[^"]+)\/v1"/,
  );
}

function startFakeUpstream(): Promise<Server> {
  return launch(['test/fakes/openai-upstream.ts', '--port', '0'], /"url":"(http:[^"]+)\/v1"/);
}

function launch(args: string[], ready: RegExp): Promise<Server> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    let output = '';
    child.on('exit', (code) => reject(new Error(`${args[0]} ended with ${code}: ${output}`)));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < 10_000) output += text;
      const url = ready.exec(output)?.[1];
      if (url) resolve({ url, child });
    });
  });
}

async function stop({ child }: Server): Promise<void> {
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exited;
}

async function untilReady(url: string): Promise<void> {
  while ((await fetch(`${url}/readyz`)).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Of the process and its children. */
function residentMiB(child: ChildProcess): { gateway: number; engines: number } {
  const of = (pid: number | string) =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  const engines = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean);
  return { gateway: of(child.pid as number), engines: engines.reduce((sum, pid) => sum + of(pid), 0) };
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

function render(results: {
  cold: number;
  warm: number;
  engine: Awaited<ReturnType<typeof measureEngine>>;
  relay: Awaited<ReturnType<typeof measureRelay>>;
}): string {
  const { cold, warm, engine, relay } = results;
  const range = (list: readonly number[]) => {
    const sorted = [...list].sort((a, b) => a - b);
    const middle = sorted[Math.floor(sorted.length / 2)] ?? 0;
    return `${Math.round(middle)} (${Math.round(sorted[0] ?? 0)}–${Math.round(sorted.at(-1) ?? 0)})`;
  };
  const ratios = relay.relayed.map((rate, i) => (100 * rate) / (relay.direct[i] ?? 1));
  return `# The whole server on one machine

Made by \`node bench/serve/measure.ts\` on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node};
load generator, gateway, engine and upstream share the cores. Median (min–max) of ${rounds} rounds of ${seconds} s.

| what | measured |
|---|---|
| start until ready, first time (graph built from the GGUF) | ${Math.round(cold)} ms |
| start until ready, later | ${Math.round(warm)} ms |
| resident memory, idle: gateway / engine | ${Math.round(engine.idleRss.gateway)} / ${Math.round(engine.idleRss.engines)} MiB |
| resident memory, after 8 clients: gateway / engine | ${Math.round(engine.loadedRss.gateway)} / ${Math.round(engine.loadedRss.engines)} MiB |
| embedded model, 1 client, tokens per second over HTTP | ${range(engine.tokensPerSecond.get(1) ?? [])} |
| embedded model, 8 clients, tokens per second over HTTP | ${range(engine.tokensPerSecond.get(8) ?? [])} |
| 1 KB requests per second straight to the upstream | ${range(relay.direct)} |
| 1 KB requests per second through the gateway | ${range(relay.relayed)} |
| the same, in percent of straight | ${range(ratios)} |
| resident memory of the relaying gateway after the load | ${Math.round(relay.rss.gateway)} MiB |
`;
}
