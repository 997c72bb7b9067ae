import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';

const START_TIMEOUT_MS = 300_000;
const STOP_TIMEOUT_MS = 20_000;

export interface ServerProcess {
  /** Without a path. */
  readonly root: string;
  close(): Promise<void>;
}

/**
 * Starts a model server on a free port and waits until its `/health` is well.
 *
 * @param args For a port. @throws Error with the end of what it wrote.
 */
export async function startServerProcess(
  program: string,
  args: (port: string) => readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<ServerProcess> {
  const port = await freePort();
  const child = spawn(program, args(String(port)), {
    // A group of its own: the server may start more processes.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
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
    throw new Error(`${program} did not start: ${(error as Error).message}\n${log}`);
  }
  return { root, close: () => stop(child) };
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
