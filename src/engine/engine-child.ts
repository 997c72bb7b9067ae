import { type ChildProcess, spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { encodeFrame, FrameReader } from './frame.ts';
import type { FromEngine, ToEngine } from './messages.ts';
import { sacrificeFirst } from './process-memory.ts';

/** How much of the process's stderr is kept for the failure message. */
const STDERR_TAIL_CHARS = 4096;

/** Output that was still in the pipe when the process died arrives within this time. */
const LAST_OUTPUT_MS = 200;

/** `In`: what the process is told. Encoders speak other messages over the same socket. */
export interface EngineChild<In = ToEngine> {
  readonly pid: number | undefined;
  /** Bytes that the process has not read yet. */
  readonly unreadBytes: number;
  /** Throws FrameError when the message is too large. */
  send(message: In): void;
  kill(): void;
}

export interface EngineChildEvents<Out = FromEngine> {
  readonly onMessage: (message: Out) => void;
  /** Once, whatever ended it; no message comes after. `detail` says what is known, with the end of its stderr. */
  readonly onExit: (detail: string) => void;
}

export type SpawnEngine<In = ToEngine, Out = FromEngine> = (
  events: EngineChildEvents<Out>,
) => EngineChild<In>;

/** The program is TypeScript or JavaScript, as this file is. */
export const ENGINE_PROGRAM = import.meta.url.endsWith('.ts')
  ? new URL('./engine-process.ts', import.meta.url)
  : new URL('./engine-process.js', import.meta.url);

/**
 * The whole environment of an engine process: there are no secrets to leak. glibc backs large allocations, that is the weights, with huge
 * pages where the system offers them on request: a batch of 1 reads all weights once per token, 1.15 times as fast through few page
 * table entries. Other C libraries ignore it.
 */
export const ENGINE_ENVIRONMENT = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

/** Above 0 is less urgent. The engine takes all cores for as long as a step lasts; a request to the gateway takes a tenth of a millisecond of one. */
export const ENGINE_NICENESS = 5;

/** Starts an engine process with a socket on its file descriptor 3. `environment`: what else it needs, such as a driver's variables. */
export function spawnEngine<In = ToEngine, Out = FromEngine>(
  events: EngineChildEvents<Out>,
  program = ENGINE_PROGRAM,
  environment: Readonly<Record<string, string>> = {},
): EngineChild<In> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(program)], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...ENGINE_ENVIRONMENT, ...environment },
    windowsHide: true,
  });
  if (child.pid !== undefined) {
    sacrificeFirst(child.pid);
    yieldToGateway(child.pid);
  }
  // Without file descriptors left there is no socket; the error event tells.
  const socket = child.stdio?.[3] as Duplex | undefined;
  const reader = new FrameReader();
  const tail = keepTail(child);
  let isGone = false;
  const exited = onceExited(child, (how) => {
    isGone = true;
    events.onExit(tail() === '' ? how : `${how}: ${tail()}`);
  });

  socket?.on('data', (chunk: Buffer) => {
    // What was on its way when it ended would be taken for its successor's.
    if (isGone) return;
    try {
      for (const message of reader.push(chunk)) events.onMessage(message as Out);
    } catch (error) {
      child.kill('SIGKILL');
      exited(`the engine process sent nonsense (${error instanceof Error ? error.message : String(error)})`);
    }
  });
  // A broken pipe is followed by the exit, which is what counts.
  socket?.on('error', () => {});

  return {
    get pid() {
      return child.pid;
    },
    get unreadBytes() {
      return socket?.writableLength ?? 0;
    },
    send(message) {
      const frame = encodeFrame(message);
      if (socket?.writable) socket.write(frame);
    },
    kill() {
      child.kill('SIGKILL');
    },
  };
}

/** Every thread that the process starts from now on computes only where the gateway, and whoever serves people, leaves a core. */
function yieldToGateway(pid: number): void {
  try {
    setPriority(pid, ENGINE_NICENESS);
  } catch {
    // It has ended already, or the system does not let it: it runs as the gateway does.
  }
}

function onceExited(child: ChildProcess, tell: (how: string) => void): (how: string) => void {
  let told = false;
  const once = (how: string): void => {
    if (told) return;
    told = true;
    tell(how);
  };
  child.on('error', (error) => once(`the engine process could not be started (${error.message})`));
  child.on('exit', (code, signal) => {
    const how = `the engine process ended (${signal ?? `exit code ${code}`})`;
    const timer = setTimeout(() => once(how), LAST_OUTPUT_MS);
    child.on('close', () => {
      clearTimeout(timer);
      once(how);
    });
  });
  return once;
}

function keepTail(child: ChildProcess): () => string {
  let tail = '';
  child.stderr?.setEncoding('utf8');
  child.stderr?.on('data', (text: string) => {
    tail = (tail + text).slice(-STDERR_TAIL_CHARS);
  });
  child.stderr?.on('error', () => {});
  return () => tail.trim();
}
