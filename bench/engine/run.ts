/**
 * The local engine beside llama.cpp on the same GGUF file, and beside plain onnxruntime-node on the same graph.
 *
 *   node bench/engine/run.ts [--rounds 5] [--quick] [--model FILE.gguf] [--threads 2] [--llama-bin FOLDER]
 *
 * With --in-parts, rounds of some parts at a time (--parts bare,share,server,speculation) add up to one document: what was measured
 * before is kept in .cache/rounds.json.
 *
 * Installs what is missing: npm packages, and llama.cpp built from source where there is cmake and a compiler. Contestants
 * take turns in every round, since machines drift: only ratios within a round mean something. Writes RESULTS.md beside
 * itself; with --quick (one round of little) into .cache, as that is no document.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { asEngine } from './as-engine.ts';
import { BATCHES, type Figure, PROMPTS, type Task } from './figures.ts';
import { cacheFolder, installLlamaCpp, installNodePackages, requantised } from './install.ts';
import { measureLlamaCpp } from './llama-cpp.ts';
import { runToEnd, type Server, startServer, stopAll } from './processes.ts';
import { render } from './report.ts';
import type { Contestant, Round } from './round.ts';
import { measureServed } from './served.ts';
import { measureShares } from './shares.ts';

const root = join(import.meta.dirname, '../..');
const MODEL = 'models/smollm2-135m-instruct.gguf';
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    parts: { type: 'string', default: 'bare,share,server,speculation' },
    'in-parts': { type: 'boolean', default: false },
    model: { type: 'string' },
    threads: { type: 'string', default: String(Math.min(availableParallelism(), 8)) },
    /** Where llama-server and llama-batched-bench are already. */
    'llama-bin': { type: 'string' },
  },
});
const rounds = values.quick ? 1 : Number(values.rounds);
const clientCounts = values.quick ? [8] : [8, 16, 32];
const model = resolve(
  values.model ?? [join(root, 'data', MODEL), join(root, '.cache', MODEL)].find(existsSync) ?? '',
);
const task: Task = {
  model,
  cacheDir: cacheFolder,
  threads: Number(values.threads),
  batches: values.quick ? [1, 8] : BATCHES,
  prompts: values.quick ? [512] : PROMPTS,
};
const parts: ReadonlySet<string> = new Set(values.parts.split(','));
const kept = join(cacheFolder, 'rounds.json');
const slots = Math.max(...clientCounts);
const contextTokens = 2_048;

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    stopAll();
    process.exit(130);
  });
try {
  await main();
} finally {
  stopAll();
}

async function main(): Promise<void> {
  if (!existsSync(model))
    throw new Error('There is no model: run `npm start` once, or name one with --model.');
  mkdirSync(cacheFolder, { recursive: true });
  const absent = new Map<Contestant, string>();
  const llamaBin =
    values['llama-bin'] ?? (await installLlamaCpp(say).catch((e) => void absent.set('llama.cpp', String(e))));
  await installNodePackages().catch((error) => absent.set('node-llama-cpp', String(error)));
  const measured: Round[] =
    values['in-parts'] && existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : [];
  for (let i = 0; i < rounds; i++) {
    const round: Writable<Round> = { bare: {}, served: {} };
    const step = async (name: Contestant, what: string, work: () => Promise<void>): Promise<void> => {
      if (absent.has(name)) return;
      say(`round ${i + 1} of ${rounds}: ${name}, ${what}`);
      await work().catch((error) => absent.set(name, String(error)));
    };
    const bare = (name: Contestant, measure: () => Promise<Figure[]>) =>
      step(name, 'bare', async () => {
        round.bare[name] = await measure();
      });
    const served = (name: Contestant, start: () => Promise<Server>) =>
      step(name, 'server', async () => {
        const server = await start();
        try {
          round.served[name] = await measureServed(server.url, clientCounts);
        } finally {
          await server.stop();
        }
      });
    if (parts.has('bare')) {
      await bare('qianmen', () => program('qianmen.ts'));
      await bare('llama.cpp', () => measureLlamaCpp(llamaBin!, task));
      await bare('llama.cpp Q4_0', async () =>
        measureLlamaCpp(llamaBin!, { ...task, model: await requantised(llamaBin!, model) }),
      );
      await bare('onnxruntime-node', () => program('onnxruntime.ts'));
      await bare('node-llama-cpp', () =>
        program('node-llama-cpp.ts', { ...task, batches: task.batches.filter((b) => b <= 8) }),
      );
    }
    if (parts.has('share'))
      await step('qianmen', 'beside its server', async () => {
        const server = await startQianmen({ prefixCacheBytes: 0 });
        try {
          const bare = { model, cacheDir: cacheFolder, threads: task.threads, slots, contextTokens };
          round.shares = await measureShares(server.url, bare, clientCounts);
        } finally {
          await server.stop();
        }
      });
    if (parts.has('server')) {
      await served('qianmen', () => startQianmen({}));
      await served('llama.cpp', () => startLlamaServer(llamaBin!));
    }
    if (parts.has('speculation')) {
      say(`round ${i + 1} of ${rounds}: speculation`);
      const options = ['--json', '--rounds', '1', '--model', model, '--threads', values.threads];
      const output = await runToEnd([
        process.execPath,
        join(import.meta.dirname, 'speculation.ts'),
        ...options,
      ]);
      round.speculation = JSON.parse(output);
    }
    measured.push(round);
    if (values['in-parts']) writeFileSync(kept, JSON.stringify(measured));
  }
  const report = render(measured, { task, absent, slots });
  writeFileSync(join(values.quick ? cacheFolder : import.meta.dirname, 'RESULTS.md'), report);
  process.stdout.write(report);
}

async function program(file: string, what = task): Promise<Figure[]> {
  const program = [process.execPath, join(import.meta.dirname, file), JSON.stringify(what)];
  const output = await runToEnd(file === 'qianmen.ts' ? asEngine(program, 0) : program);
  return JSON.parse(output.trimEnd().split('\n').at(-1)!);
}

function startQianmen(settings: object): Promise<Server> {
  const dataDir = join(cacheFolder, 'data');
  rmSync(dataDir, { recursive: true, force: true });
  return startServer({
    path: '/readyz',
    logFile: join(cacheFolder, 'qianmen.log'),
    command: (port) => {
      const config = join(cacheFolder, 'qianmen.json');
      const engine = { name: 'smol', path: model, slots, contextTokens, threads: task.threads, ...settings };
      const log = { level: 'warn' };
      writeFileSync(config, JSON.stringify({ listen: { port }, dataDir, log, engines: [engine] }));
      return [process.execPath, join(root, 'src/main.ts'), 'serve', '--config', config];
    },
  });
}

function startLlamaServer(bin: string): Promise<Server> {
  return startServer({
    path: '/health',
    logFile: join(cacheFolder, 'llama-server.log'),
    command: (port) => [
      join(bin, 'llama-server'),
      ...['--model', model, '--host', '127.0.0.1', '--port', String(port), '--no-webui'],
      ...['--threads', String(task.threads), '--threads-batch', String(task.threads)],
      ...['--parallel', String(slots), '--ctx-size', String(slots * contextTokens)],
    ],
  });
}
