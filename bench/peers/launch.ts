import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Running, StartOptions } from './peer.ts';
import { answers, isAlive, startPinned, within } from './processes.ts';

export interface LaunchOptions {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Answers 200 once the gateway serves. */
  readonly readyPath: string;
  readonly readyHeaders?: Record<string, string>;
  readonly model: string;
  readonly headers?: readonly string[];
  readonly limitMs?: number;
}

/** Starts a gateway on its core and waits until it serves. @throws Error with the end of its output */
export async function launch(start: StartOptions, options: LaunchOptions): Promise<Running> {
  const logFile = join(start.folder, 'gateway.log');
  const started = startPinned({
    core: start.core,
    command: options.command,
    logFile,
    env: { NODE_ENV: 'production', ...options.env },
    cwd: options.cwd ?? start.folder,
  });
  const origin = `http://127.0.0.1:${start.port}`;
  const ready = await within(options.limitMs ?? 20_000, async () => {
    return !isAlive(started.pid) || (await answers(origin + options.readyPath, options.readyHeaders));
  });
  if (!ready || !isAlive(started.pid)) {
    await started.stop();
    throw new Error(`did not start: ${readFileSync(logFile, 'utf8').trim().slice(-500)}`);
  }
  return {
    pid: started.pid,
    url: `${origin}/v1/chat/completions`,
    model: options.model,
    headers: options.headers ?? [],
    stop: started.stop,
  };
}
