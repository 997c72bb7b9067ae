import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Started {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Ends the process and its descendants; resolves when they are gone. */
  stop(): Promise<void>;
}

const running = new Set<Started>();
/** Ends what `runToEnd` waits for. */
const ending = new AbortController();

/** Ends everything that was started and still runs; nothing can be started afterwards. */
export async function stopAll(): Promise<void> {
  ending.abort();
  await Promise.all([...running].map((started) => started.stop()));
}

/** Runs a command on one core, its output in a file. `taskset` replaces itself by the command: the pid is the command's. */
export function startPinned(options: {
  readonly core: number;
  readonly command: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}): Started {
  ending.signal.throwIfAborted();
  const log = openSync(options.logFile, 'a');
  const child = spawn('taskset', ['-c', String(options.core), ...options.command], {
    stdio: ['pipe', log, log],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  closeSync(log);
  child.on('error', () => {});
  if (child.pid === undefined) throw new Error(`cannot start ${options.command[0]}`);
  const started: Started = { pid: child.pid, child, stop: () => stop(started) };
  running.add(started);
  child.once('exit', () => running.delete(started));
  return started;
}

async function stop({ pid, child }: Started): Promise<void> {
  const tree = processTree(pid);
  signalAll(tree, 'SIGCONT');
  signalAll(tree, 'SIGTERM');
  const gone = () => exited(child) && tree.every((member) => !isAlive(member));
  if (await within(3_000, gone)) return;
  signalAll(tree, 'SIGKILL');
  await within(2_000, gone);
}

function exited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
}

/** The process and its descendants. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = statFields(Number(entry))?.[1];
    if (parent === undefined) continue;
    const siblings = children.get(Number(parent)) ?? [];
    siblings.push(Number(entry));
    children.set(Number(parent), siblings);
  }
  const tree = [pid];
  for (const member of tree) tree.push(...(children.get(member) ?? []));
  return tree;
}

/** Fields of /proc/PID/stat from the state on. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

export function isAlive(pid: number): boolean {
  const state = statFields(pid)?.[0];
  return state !== undefined && state !== 'Z';
}

/** @throws Error if a thread of these processes may run anywhere but on the core. */
export function requirePinned(pids: readonly number[], core: number): void {
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
      const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1];
      if (allowed !== String(core))
        throw new Error(`process ${pid} may run on cores ${allowed}, not on ${core} only`);
    }
  }
}

export function residentBytes(pids: readonly number[]): number {
  let bytes = 0;
  for (const pid of pids) bytes += Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  return bytes;
}

/** User and system time of these processes. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid) ?? [];
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / 100;
}

/** Seconds that all cores together were busy since the machine started. */
export function busySeconds(): number {
  const [, user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .map(Number);
  return (user! + nice! + system! + irq! + softirq! + steal!) / 100;
}

/** Runs a command to its end. @throws Error with the end of its output */
export async function runToEnd(
  command: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<string> {
  const [file, ...args] = command;
  try {
    const { stdout } = await run(file!, args, {
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
      signal: ending.signal,
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    return stdout;
  } catch (error) {
    const { stderr = '', stdout = '', message } = error as Error & { stderr?: string; stdout?: string };
    throw new Error(
      `${command.join(' ').slice(0, 200)}: ${(stderr || stdout || message).trim().slice(-400)}`,
    );
  }
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: '127.0.0.1', port: 0 }, resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Polls until the condition holds. @returns Whether it did in time. */
export async function within(limitMs: number, condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether an HTTP GET is answered with 200. */
export async function answers(url: string, headers: Record<string, string> = {}): Promise<boolean> {
  try {
    const reply = await fetch(url, { headers, signal: AbortSignal.timeout(2_000) });
    await reply.arrayBuffer();
    return reply.status === 200;
  } catch {
    return false;
  }
}
