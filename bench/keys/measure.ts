/**
 * What keys, limits and the ledger cost on the hot path: one gateway without keys, one where every request has a key, is counted against
 * limits of key, project and organization, is priced and goes to the ledger (SQLite). Both relay the same small requests to the same upstream, in turns.
 *
 *   node bench/keys/measure.ts [--rounds 5] [--seconds 4]
 *
 * The gateways share one core, upstream and clients the other. Prints requests per second and the gateway's CPU time per request (all of its threads, the ledger's too), each as median
 * (min–max) of the rounds, and the ratios. `--write` keeps them in RESULTS.md beside this file.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { type Server, startServer, stopAll } from '../engine/processes.ts';

const root = join(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    write: { type: 'boolean', default: false },
  },
});
const CLIENTS = 32;
const WARM_UP_MS = 4_000;
/** Of `/proc/PID/stat`. */
const TICKS_PER_SECOND = 100;

interface Round {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

interface Contestant {
  readonly name: string;
  readonly gateway: Server;
  readonly pool: Pool;
  readonly headers: Readonly<Record<string, string>>;
  readonly rounds: Round[];
}

const REPLY = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'fake',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'word '.repeat(100), refusal: null },
      finish_reason: 'stop',
      logprobs: null,
    },
  ],
  usage: { prompt_tokens: 180, completion_tokens: 100, total_tokens: 280 },
});
const REQUEST = JSON.stringify({
  model: 'remote',
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Tell me something. '.repeat(40) }],
});

const folder = mkdtempSync(join(tmpdir(), 'qianmen-keys-'));
execFileSync('taskset', ['-cp', '1', String(process.pid)], { stdio: 'ignore' });
try {
  const upstream = createServer((incoming, outgoing) => {
    incoming.resume();
    incoming.on('end', () => {
      outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': REPLY.length });
      outgoing.end(REPLY);
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const { port } = upstream.address() as AddressInfo;
  const contestants = [
    await contestant('without keys', port, false),
    await contestant('with keys, limits and ledger', port, true),
  ];
  for (const one of contestants) await measure(one, WARM_UP_MS);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const one of round % 2 === 0 ? contestants : contestants.toReversed())
      one.rounds.push(await measure(one, Number(values.seconds) * 1_000));
  const text = render(contestants);
  process.stdout.write(text);
  if (values.write) writeFileSync(join(import.meta.dirname, 'RESULTS.md'), text);
} finally {
  stopAll();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

async function contestant(name: string, upstreamPort: number, keyed: boolean): Promise<Contestant> {
  const dataDir = join(folder, keyed ? 'keyed' : 'open');
  const config = join(folder, keyed ? 'keyed.json' : 'open.json');
  const write = (port: number) =>
    writeFileSync(
      config,
      JSON.stringify({
        listen: { port },
        dataDir,
        log: { level: 'warn' },
        upstreams: [{ name: 'fake', url: `http://127.0.0.1:${upstreamPort}/v1` }],
        models: [
          {
            name: 'remote',
            limits: { requestsPerMinute: 1e9 },
            deployments: [
              { upstream: 'fake', model: 'fake', price: { inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.4 } },
            ],
          },
        ],
      }),
    );
  write(1);
  const gatewayCommand = (...words: readonly string[]) => [
    join(root, 'src/main.ts'),
    ...words,
    '--config',
    config,
  ];
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (keyed) {
    const limits = [
      '--rpm',
      '1000000000',
      '--tpm',
      '1000000000',
      '--concurrency',
      '10000',
      '--usd-per-day',
      '1000000',
    ];
    const create = gatewayCommand('key', 'create', '--name', 'bench', '--json', ...limits);
    const made = JSON.parse(execFileSync(process.execPath, create, { encoding: 'utf8' })) as {
      secret: string;
    };
    headers.authorization = `Bearer ${made.secret}`;
  }
  const gateway = await startServer({
    path: '/readyz',
    logFile: join(folder, `${keyed ? 'keyed' : 'open'}.log`),
    command: (port) => {
      write(port);
      return [
        'taskset',
        '-c',
        '0',
        process.execPath,
        '--max-semi-space-size=8',
        '--single-threaded-gc',
        ...gatewayCommand('serve'),
      ];
    },
  });
  return { name, gateway, pool: new Pool(gateway.url, { connections: CLIENTS }), headers, rounds: [] };
}

async function measure({ gateway, pool, headers }: Contestant, forMs: number): Promise<Round> {
  let done = 0;
  const startedAtMs = performance.now();
  const cpuBefore = cpuSeconds(gateway.pid);
  const client = async () => {
    while (performance.now() - startedAtMs < forMs) {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/v1/chat/completions',
        headers,
        body: REQUEST,
      });
      const text = await body.text();
      if (statusCode !== 200) throw new Error(`${statusCode}: ${text.slice(0, 300)}`);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  const seconds = (performance.now() - startedAtMs) / 1_000;
  return { perSecond: done / seconds, cpuMicros: ((cpuSeconds(gateway.pid) - cpuBefore) * 1e6) / done };
}

/** User and system time of a process and all its threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function render(contestants: readonly Contestant[]): string {
  const [open, keyed] = contestants.map(({ rounds }) => ({
    perSecond: median(rounds.map((round) => round.perSecond)),
    cpuMicros: median(rounds.map((round) => round.cpuMicros)),
  }));
  const lines = contestants.map(({ name, rounds }) => {
    const rps = spread(rounds.map((round) => round.perSecond));
    return `| ${name} | ${rps} | ${spread(rounds.map((round) => round.cpuMicros))} |`;
  });
  return `# What keys, limits and the ledger cost

One gateway without keys and one with them relay the same requests of ${REQUEST.length} bytes in turns, ${contestants[0]?.rounds.length} rounds of ${values.seconds} s, ${CLIENTS} clients; the
gateway on one core of ${cpus()[0]?.model.trim()}, upstream and clients on the other. Median (min–max).

| | requests/s | CPU µs per request |
|---|---|---|
${lines.join('\n')}

With keys: ${(keyed!.perSecond / open!.perSecond).toFixed(2)} of the throughput, ${(keyed!.cpuMicros / open!.cpuMicros).toFixed(2)} times the CPU time.
`;
}

function spread(figures: readonly number[]): string {
  return `${Math.round(median(figures))} (${Math.round(Math.min(...figures))}–${Math.round(Math.max(...figures))})`;
}

function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
