import { configSchema } from '../../config/schema.ts';
import type { RunningGateway } from '../../src/running-gateway.ts';
import { startGateway } from '../../src/serve.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { REAL_ENCODER, realEncoderPath } from '../model-file.ts';
import { newDataDir } from '../support/data-dir.ts';

export interface ServedEncoder {
  /** Without a path. */
  readonly url: string;
  readonly model: string;
  readonly running: RunningGateway;
  close(): Promise<void>;
}

/** A gateway on a free port with one encoder, in its own process. */
export async function serveEncoder(engine: object = {}): Promise<ServedEncoder> {
  const config = configSchema.parse({
    listen: { port: 0 },
    dataDir: newDataDir(),
    engines: [{ name: REAL_ENCODER, path: realEncoderPath(), threads: 2, ...engine }],
    log: { level: 'silent' },
  });
  const running = await startGateway(config, { logger: createLogger('silent') });
  await running.enginesSettled;
  if (!running.readiness().ready) throw new Error(JSON.stringify(running.readiness()));
  return {
    url: running.url,
    model: running.gateway.models()[0]!.name,
    running,
    close: () => running.close(),
  };
}

export async function post(
  url: string,
  path: string,
  body: object,
  signal?: AbortSignal,
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape, and fail where one is another.
): Promise<{ readonly status: number; readonly body: any }> {
  const reply = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  return { status: reply.status, body: await reply.json() };
}

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}
