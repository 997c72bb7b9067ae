import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** A gateway as its own process, so that signals are real. */
export interface GatewayProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** Everything it has written so far, stdout and stderr. */
  output(): string;
  /** Resolves to the exit code once it has ended. */
  readonly exited: Promise<number | null>;
  /** Replaces its configuration file, as editors do. It notices by itself, or on SIGHUP. */
  reconfigure(config: object): void;
  /** The same with a text that need not be a configuration. */
  rewrite(text: string): void;
  /** Process ids of its engine processes, or of its workers. */
  enginePids(): number[];
  kill(): Promise<void>;
}

/** Starts `qianmen serve` with this configuration on a free port, unless `keepPort`. Resolves once it listens. */
export async function startGatewayProcess(
  config: object,
  options: { readonly keepPort?: boolean; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-test-'));
  const file = join(folder, 'qianmen.yaml');
  writeFileSync(file, stringify({ dataDir: folder, ...config }));
  const port = options.keepPort ? [] : ['--port', '0'];
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', file, ...port], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let output = '';
  const listening = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output += text;
      const url = /"url":"(http:[^"]+)\/v1"/.exec(output)?.[1];
      if (url) listening.resolve(url);
    });
  }
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  void exited.then((code) => listening.reject(new Error(`the gateway ended with ${code}:\n${output}`)));
  const url = await listening.promise;
  const rewrite = (text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  return {
    url,
    child,
    exited,
    output: () => output,
    reconfigure: (changed) => rewrite(stringify({ dataDir: folder, ...changed })),
    rewrite,
    enginePids: () =>
      readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
        .split(' ')
        .filter(Boolean)
        .map(Number),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Polls until `check` is true. */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The value of one sample on /metrics, without its labels: the sum over all series. */
/** @param secret Of a key that may look, where keys are needed. */
export async function metric(url: string, name: string, secret?: string): Promise<number> {
  const headers: Record<string, string> = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  const text = await (await fetch(`${url}/metrics`, { headers })).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export function chatBody(model: string, extra: object = {}): string {
  return JSON.stringify({ model, messages: [{ role: 'user', content: 'Tell me a story.' }], ...extra });
}

export function postChat(url: string, body: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    ...(signal ? { signal } : {}),
  });
}

/** Memory of a process that is in RAM. */
export function residentBytes(pid: number): number {
  return 1_024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
