import type { Address } from '../http/address.ts';
import { KEEP_ALIVE_MS } from '../http/connections.ts';
import { Inquiry } from './inquiry.ts';
import { LOAD_PAGES, type LoadPage, type ServerLoads } from './server-load.ts';

export interface LoadWatchOptions {
  readonly origin: string;
  readonly address: Address | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly onLoads: (loads: ServerLoads) => void;
}

/** A server that has no such page is asked again after this long: it may have been restarted with other flags. */
const LOOK_AGAIN_MS = 60_000;

/** There is no answer: it has too much to do at the moment, or is not there yet. */
const NO_ANSWER = 'no answer';

/**
 * Reads regularly how much a server says it has to do, over a connection of its own. Servers that do not tell, or
 * stop telling, cost nothing but the asking: what they say only corrects what the gateway counts itself. Keeps no process
 * alive.
 *
 * @returns A function that stops it.
 */
export function watchLoad(options: LoadWatchOptions): () => void {
  const { origin, address, headers, intervalMs, timeoutMs, onLoads } = options;
  const inquiry = new Inquiry({ origin, address, headers, keepMs: KEEP_ALIVE_MS });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let page: LoadPage | undefined;

  const loadsOn = async ({ path, read }: LoadPage): Promise<ServerLoads | typeof NO_ANSWER | undefined> => {
    try {
      const { statusCode, text } = await inquiry.get(path, AbortSignal.timeout(timeoutMs));
      return statusCode === 200 && text !== undefined ? read(text) : undefined;
    } catch {
      return NO_ANSWER;
    }
  };

  /** @returns When to ask again. */
  const ask = async (): Promise<number> => {
    for (const candidate of page === undefined ? LOAD_PAGES : [page]) {
      const loads = await loadsOn(candidate);
      if (stopped || loads === NO_ANSWER) return intervalMs;
      page = loads && candidate;
      if (loads === undefined) continue;
      onLoads(loads);
      return intervalMs;
    }
    return LOOK_AGAIN_MS;
  };

  const loop = async (): Promise<void> => {
    const waitMs = await ask();
    if (!stopped) timer = setTimeout(() => void loop(), waitMs).unref();
  };
  void loop();

  return () => {
    stopped = true;
    clearTimeout(timer);
    inquiry.close();
  };
}
