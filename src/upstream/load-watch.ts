import { Client } from 'undici';
import { type Address, connectOption } from './address.ts';
import { readText } from './probe.ts';
import { LOAD_PAGES, type LoadPage, type ServerLoads } from './server-load.ts';

export interface LoadWatchOptions {
  readonly origin: string;
  readonly address: Address | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly onLoads: (loads: ServerLoads) => void;
}

/** A server that has no page that tells is asked again after so long: it may have been started anew with other flags. */
const LOOK_AGAIN_MS = 60_000;

/**
 * Reads again and again how much a server says it has to do, over a connection of its own. Servers that do not tell, or
 * stop telling, cost nothing but the asking: what they say only corrects what the gateway counts itself. Keeps no process
 * alive.
 *
 * @returns A function that stops it.
 */
export function watchLoad(options: LoadWatchOptions): () => Promise<void> {
  const { intervalMs, timeoutMs, headers, onLoads } = options;
  const client = new Client(options.origin, {
    pipelining: 1,
    allowH2: false,
    connect: connectOption(timeoutMs, options.address),
  });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let page: LoadPage | undefined;

  const read = async ({ path, read }: LoadPage): Promise<ServerLoads | undefined> => {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const { statusCode, body } = await client.request({ method: 'GET', path, headers, signal });
      const text = await readText(body);
      return statusCode === 200 && text !== undefined ? read(text) : undefined;
    } catch {
      return undefined;
    }
  };

  const ask = async (): Promise<void> => {
    for (const candidate of page === undefined ? LOAD_PAGES : [page]) {
      const loads = await read(candidate);
      if (stopped) return;
      page = loads && candidate;
      if (loads === undefined) continue;
      onLoads(loads);
      break;
    }
  };

  const loop = async (): Promise<void> => {
    await ask();
    if (!stopped) timer = setTimeout(() => void loop(), page ? intervalMs : LOOK_AGAIN_MS).unref();
  };
  void loop();

  return async () => {
    stopped = true;
    clearTimeout(timer);
    await client.destroy();
  };
}
