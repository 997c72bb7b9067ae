import { eventually, type GatewayProcess } from '../support/gateway-process.ts';
import { bearer, send } from './tenants.ts';

/** The status of a chat over a connection of its own: workers take turns. */
export async function askAnew(url: string, model: string, secret: string | undefined): Promise<number> {
  const { status } = await send(url, '/v1/chat/completions', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      connection: 'close',
      ...(secret === undefined ? {} : bearer(secret)),
    },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello.' }] }),
  });
  return status;
}

/** Those of all workers, each once. */
export async function askEverywhere(
  url: string,
  model: string,
  secret: string | undefined,
): Promise<number[]> {
  const statuses = new Set<number>();
  for (let i = 0; i < 6; i++) statuses.add(await askAnew(url, model, secret));
  return [...statuses];
}

/** Kills one after the other, and waits for the next. */
export async function replaceWorkers(gateway: GatewayProcess): Promise<void> {
  for (const [i, pid] of gateway.enginePids().entries()) {
    process.kill(pid, 'SIGKILL');
    const replaced = () => gateway.output().match(/"msg":"worker replaced"/g)?.length === i + 1;
    await eventually('a worker is replaced', replaced, 30_000);
  }
}
