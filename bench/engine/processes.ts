import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { freePort } from '../../test/support/free-port.ts';

const LIMIT_MS = 60 * 60_000;
const children = new Set<ChildProcess>();

/** Ends everything that still runs. */
export function stopAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Runs a command to its end and gives its output. Throws an Error with the beginning of what it complained. */
export async function runToEnd([file, ...args]: readonly string[], cwd?: string): Promise<string> {
  const options = { timeout: LIMIT_MS, maxBuffer: 2 ** 26, ...(cwd === undefined ? {} : { cwd }) };
  const running = promisify(execFile)(file!, args, options);
  children.add(running.child);
  try {
    return (await running).stdout;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new Error(`${file} ${args[0]}: ${(stderr || message).trim().slice(0, 600)}`);
  } finally {
    children.delete(running.child);
  }
}

interface Answering {
  /** Writes a line to its input. Resolves to the next line of its output; rejects when it has ended instead. */
  ask(line: string): Promise<string>;
  stop(): void;
}

/** Starts a program that answers each line with one. */
export function startAnswering([file, ...args]: readonly string[]): Answering {
  const child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(line) {
      child.stdin.write(`${line}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`${file} ${args.join(' ')} has ended`);
      return value;
    },
    stop() {
      child.kill();
      children.delete(child);
    },
  };
}

export interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a server on a free port and waits until `path` answers 200. */
export async function startServer(options: {
  readonly command: (port: number) => readonly string[];
  readonly path: string;
  readonly logFile: string;
}): Promise<Server> {
  const port = await freePort();
  const [file, ...args] = options.command(port);
  const log = openSync(options.logFile, 'w');
  const child = spawn(file!, args, { stdio: ['ignore', log, log] });
  closeSync(log);
  children.add(child);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  for (const deadline = performance.now() + 120_000; !(await answers(url + options.path)); ) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`${file} did not start, see ${options.logFile}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
    pid: child.pid!,
    stop: async () => {
      child.kill();
      await exited;
      children.delete(child);
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}
