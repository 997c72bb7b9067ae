import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_TIMEOUT_MS = 300_000;
const STOP_TIMEOUT_MS = 20_000;

export interface VllmServer {
  /** API root. */
  readonly url: string;
  readonly apiKey: string;
  readonly model: string;
  /** `vllm:num_requests_running`, as the server tells it now. */
  running(): Promise<number>;
  close(): Promise<void>;
}

/** Starts vLLM from an environment that install-vllm.sh prepared. Takes about a minute. */
export async function startVllm(venv: string): Promise<VllmServer> {
  const port = await freePort();
  const apiKey = 'sk-real-lane';
  const flags = {
    '--served-model-name': 'smollm2',
    '--host': '127.0.0.1',
    '--port': String(port),
    '--max-model-len': '2048',
    '--dtype': 'float32',
    '--api-key': apiKey,
  };
  const child = spawn(
    join(venv, 'bin', 'vllm'),
    [
      'serve',
      join(venv, 'model'),
      ...Object.entries(flags).flat(),
      '--enforce-eager',
      '--enable-prompt-tokens-details',
    ],
    {
      // A group of its own: the server starts more processes.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${join(venv, 'bin')}:${process.env.PATH}`,
        HF_HUB_OFFLINE: '1',
        VLLM_NO_USAGE_STATS: '1',
        VLLM_CPU_KVCACHE_SPACE: '1',
        VLLM_CPU_OMP_THREADS_BIND: 'nobind',
      },
    },
  );
  let log = '';
  const keep = (text: Buffer) => {
    log = (log + text.toString()).slice(-20_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);

  const root = `http://127.0.0.1:${port}`;
  try {
    await untilHealthy(`${root}/health`, child);
  } catch (error) {
    await stop(child);
    throw new Error(`vLLM did not start: ${(error as Error).message}\n${log}`);
  }
  return {
    url: `${root}/v1`,
    apiKey,
    model: 'smollm2',
    async running() {
      const metrics = await (await fetch(`${root}/metrics`)).text();
      return Number(/^vllm:num_requests_running\{[^}]*\} (\S+)$/m.exec(metrics)?.[1] ?? Number.NaN);
    },
    close: () => stop(child),
  };
}

async function untilHealthy(url: string, child: ChildProcess): Promise<void> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadlineMs) {
    if (child.exitCode !== null) throw new Error(`exit code ${child.exitCode}`);
    const reply = await fetch(url).catch(() => undefined);
    if (reply?.ok) return;
    await sleep(500);
  }
  throw new Error(`no answer within ${START_TIMEOUT_MS} ms`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  process.kill(-child.pid!, 'SIGTERM');
  const late = new AbortController();
  const kill = sleep(STOP_TIMEOUT_MS, undefined, { signal: late.signal }).then(
    () => process.kill(-child.pid!, 'SIGKILL'),
    () => {},
  );
  await exited;
  late.abort();
  await kill;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
