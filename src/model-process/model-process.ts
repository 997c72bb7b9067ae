import { type ChildProcess, spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { encodeFrame, FrameReader } from './frame.ts';
import { sacrificeFirst } from './process-memory.ts';

/** How much of the process's stderr is kept for the failure message. */
const STDERR_TAIL_CHARS = 4096;

/** Output that was still in the pipe when the process died arrives within this time. */
const LAST_OUTPUT_MS = 200;

/** A process that holds one local model, as the gateway sees it. `In`: the messages that it is sent. */
export interface ModelProcess<In> {
  readonly pid: number | undefined;
  /** Bytes that the process has not read yet. */
  readonly unreadBytes: number;
  /** Throws FrameError when the message is too large. */
  send(message: In): void;
  kill(): void;
}

/** `Out`: the messages that it sends. */
export interface ModelProcessEvents<Out> {
  readonly onMessage: (message: Out) => void;
  /** Once, whatever ended it; no message comes after. `detail` says what is known, with the end of its stderr. */
  readonly onExit: (detail: string) => void;
}

export type SpawnModelProcess<In, Out> = (events: ModelProcessEvents<Out>) => ModelProcess<In>;

/**
 * The whole environment of a model process, so that there are no secrets to leak. glibc backs large allocations, which
 * the weights are, with huge pages where the system offers them on request: a batch of 1 reads all weights once per token,
 * which is 1.15 times as fast with few page table entries. Other C libraries ignore the variable.
 */
export const PROCESS_ENVIRONMENT = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

/**
 * Above 0 is less urgent. A model takes all cores for as long as a step lasts; a request to the gateway takes a tenth of a
 * millisecond of one.
 */
export const PROCESS_NICENESS = 5;

/**
 * Starts a process with a socket on its file descriptor 3.
 *
 * @param environment What it needs beyond `PROCESS_ENVIRONMENT`, such as a driver's variables.
 */
export function spawnModelProcess<In, Out>(
  events: ModelProcessEvents<Out>,
  program: URL,
  environment: Readonly<Record<string, string>> = {},
): ModelProcess<In> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(program)], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...PROCESS_ENVIRONMENT, ...environment },
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
    // What was still on its way when it ended would be taken for its successor's.
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

/** Every thread that the process starts from now on computes only where the gateway, and whatever else serves people, leaves a core free. */
function yieldToGateway(pid: number): void {
  try {
    setPriority(pid, PROCESS_NICENESS);
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
