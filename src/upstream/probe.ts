import { Client } from 'undici';
import { type Address, connectOption } from './address.ts';
import type { Health } from './health.ts';
import { parseServedModels } from './served-models.ts';

export interface ProbeOptions {
  readonly origin: string;
  readonly address: Address | undefined;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly health: Health;
  /** Milliseconds without any answer to a probe, after which the upstream counts as hung rather than busy. */
  readonly silentMs: number;
  /** Told at every further unanswered probe once that time is over. */
  readonly onSilent: () => void;
  readonly now: () => number;
  /** Told what a good answer lists; undefined where it is no list. */
  readonly onModels?: (models: readonly string[] | undefined) => void;
}

const MOST_BODY_BYTES = 1024 * 1024;

/** While the upstream is down it is asked this often, so that it serves again within about a second of healing. */
const DOWN_INTERVAL_MS = 1_000;

/**
 * Asks the upstream now and then whether it lives, over a connection of its own, so that a probe never waits behind
 * requests. Any HTTP answer below 500 is a life sign. Keeps no process alive.
 *
 * @returns A function that stops it.
 */
export function startProbe(options: ProbeOptions): () => Promise<void> {
  const { health, timeoutMs } = options;
  const client = new Client(options.origin, {
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: 1,
    connect: connectOption(timeoutMs, options.address),
  });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let aliveAtMs = options.now();

  const ask = async (): Promise<void> => {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const reply = await client.request({
        method: 'GET',
        path: options.path,
        headers: options.headers,
        headersTimeout: 0,
        bodyTimeout: 0,
        signal,
      });
      const body = await readText(reply.body);
      if (stopped) return;
      aliveAtMs = options.now();
      const { statusCode } = reply;
      if (statusCode === 200) options.onModels?.(body === undefined ? undefined : parseServedModels(body));
      if (statusCode >= 500) {
        health.probeFailed({ detail: `the probe was answered with HTTP ${statusCode}`, mayBeBusy: true });
      } else {
        const refused = statusCode === 401 || statusCode === 403;
        health.probeSucceeded(refused ? `the upstream refuses the API key (HTTP ${statusCode})` : undefined);
      }
    } catch (error) {
      if (stopped) return;
      const timedOut = signal.aborted;
      const detail = timedOut ? `no answer to the probe within ${timeoutMs} ms` : (error as Error).message;
      health.probeFailed({ detail, mayBeBusy: timedOut });
      if (options.now() - aliveAtMs > options.silentMs) options.onSilent();
    }
  };

  const loop = async (): Promise<void> => {
    await ask();
    if (stopped) return;
    const down = health.snapshot().state !== 'ready';
    const waitMs = down ? Math.min(DOWN_INTERVAL_MS, options.intervalMs) : options.intervalMs;
    timer = setTimeout(() => void loop(), waitMs).unref();
  };
  void loop();

  return async () => {
    stopped = true;
    clearTimeout(timer);
    await client.destroy();
  };
}

/** Undefined when it is too long. */
export async function readText(body: AsyncIterable<Buffer>): Promise<string | undefined> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of body) {
    sizeBytes += piece.length;
    if (sizeBytes > MOST_BODY_BYTES) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
