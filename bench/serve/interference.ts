/**
 * What the gateway still does while a local model computes on every core: the time of `/healthz` and of requests relayed to an
 * upstream, without and under the load of 8 streamed chats, in turns.
 *
 *   node bench/serve/interference.ts --model FILE.gguf [--seconds 6] [--rounds 3]
 *
 * Prints median and p99 in milliseconds, as median (min–max) of the rounds, and what the load adds. Client, upstream, gateway and engine
 * share the cores, so that all of their waiting is in the figures.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { startServer, stopAll } from '../engine/processes.ts';

const root = join(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    model: { type: 'string', default: join(root, 'data/models/smollm2-135m-instruct.gguf') },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '3' },
  },
});
const CLIENTS = 8;
/** Between two requests of a kind: a trickle that loads nothing by itself. */
const PAUSE_MS = 15;

interface Latencies {
  readonly health: readonly number[];
  readonly relay: readonly number[];
}

const folder = mkdtempSync(join(tmpdir(), 'qianmen-interference-'));
try {
  const upstream = await startServer({
    path: '/v1/models',
    logFile: join(folder, 'upstream.log'),
    command: (port) => [
      process.execPath,
      join(root, 'test/fakes/openai-upstream.ts'),
      '--port',
      String(port),
    ],
  });
  const config = join(folder, 'qianmen.json');
  const gateway = await startServer({
    path: '/readyz',
    logFile: join(folder, 'gateway.log'),
    command: (port) => {
      writeFileSync(config, JSON.stringify(configuration(port, upstream.url)));
      return [process.execPath, join(root, 'src/main.ts'), 'serve', '--config', config];
    },
  });
  const pool = new Pool(gateway.url, { connections: 4 });
  await measure(pool, 1_000);
  const idle: Latencies[] = [];
  const loaded: Latencies[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    idle.push(await measure(pool, Number(values.seconds) * 1_000));
    const load = startLoad(gateway.url);
    await load.running;
    loaded.push(await measure(pool, Number(values.seconds) * 1_000));
    await load.stop();
  }
  process.stdout.write(render(idle, loaded));
} finally {
  stopAll();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

function configuration(port: number, upstream: string): object {
  return {
    listen: { port },
    dataDir: folder,
    log: { level: 'warn' },
    engines: [{ name: 'local', path: resolve(values.model), prefixCacheBytes: 0 }],
    upstreams: [{ name: 'fake', url: `${upstream}/v1` }],
    models: [{ name: 'remote', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  };
}

async function measure(pool: Pool, durationMs: number): Promise<Latencies> {
  const until = performance.now() + durationMs;
  const repeat = async (send: () => Promise<unknown>): Promise<number[]> => {
    const tookMs: number[] = [];
    while (performance.now() < until) {
      const startedAtMs = performance.now();
      await send();
      tookMs.push(performance.now() - startedAtMs);
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
    return tookMs;
  };
  const [health, relay] = await Promise.all([
    repeat(async () => (await pool.request({ method: 'GET', path: '/healthz' })).body.dump()),
    repeat(async () => (await post(pool, 'remote', 4)).dump()),
  ]);
  return { health, relay };
}

async function post(pool: Pool, model: string, maxTokens: number) {
  const messages = [{ role: 'user', content: 'Write about rivers, trade and cities.' }];
  const reply = await pool.request({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      messages,
      max_tokens: maxTokens,
      ignore_eos: true,
      stream: model === 'local',
    }),
  });
  if (reply.statusCode !== 200) throw new Error(`${reply.statusCode}: ${await reply.body.text()}`);
  return reply.body;
}

/** Chats that follow each other without a pause; `running` resolves once all have begun. */
function startLoad(url: string): { running: Promise<unknown>; stop: () => Promise<void> } {
  const pool = new Pool(url, { connections: CLIENTS });
  let stopped = false;
  const clients = Array.from({ length: CLIENTS }, () => {
    const begun = Promise.withResolvers<void>();
    const work = async (): Promise<void> => {
      while (!stopped) {
        const body = await post(pool, 'local', 128);
        begun.resolve();
        await body.dump({ limit: 2 ** 24 });
      }
    };
    const done = work();
    done.catch(begun.reject);
    return { begun: begun.promise, done };
  });
  return {
    running: Promise.all(clients.map(({ begun }) => begun)),
    stop: async () => {
      stopped = true;
      await Promise.all(clients.map(({ done }) => done));
      await pool.close();
    },
  };
}

function render(idle: readonly Latencies[], loaded: readonly Latencies[]): string {
  const lines = ['| | idle | under load | added |', '|---|---|---|---|'];
  for (const kind of ['health', 'relay'] as const) {
    for (const [name, share] of [
      ['median', 0.5],
      ['p99', 0.99],
    ] as const) {
      const before = idle.map((each) => quantile(each[kind], share));
      const after = loaded.map((each) => quantile(each[kind], share));
      const added = after.map((value, i) => value - before[i]!);
      const title = kind === 'health' ? '/healthz' : 'relayed request';
      lines.push(`| ${title}, ${name}, ms | ${[before, after, added].map(range).join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function range(list: readonly number[]): string {
  const shown = [quantile(list, 0.5), Math.min(...list), Math.max(...list)].map((value) => value.toFixed(1));
  return `${shown[0]} (${shown[1]}–${shown[2]})`;
}

function quantile(list: readonly number[], share: number): number {
  return list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))]!;
}
