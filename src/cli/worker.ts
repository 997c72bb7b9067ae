import cluster from 'node:cluster';
import { type RunningGateway, startGateway } from '../serve.ts';
import { createLogger } from '../telemetry/log.ts';
import type { Scrape } from '../telemetry/metrics.ts';
import type { FromWorker, ToWorker } from './worker-messages.ts';

/**
 * One of several gateway processes that share a port. It does what the primary tells it, and leaves signals to it: a terminal or
 * a service manager sends them to every process. Ends with the primary.
 */
export async function serveAsWorker(): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const send = (message: FromWorker) => {
    if (process.connected) process.send?.(message);
  };
  const scrapes = new Map<number, (scrape: Scrape) => void>();
  let lastId = 0;
  /** Of all workers: the primary collects them. */
  const scrape = (): Promise<Scrape> => {
    const id = ++lastId;
    const { promise, resolve } = Promise.withResolvers<Scrape>();
    scrapes.set(id, resolve);
    send({ type: 'scrape', id });
    return promise;
  };
  let started: Promise<RunningGateway | undefined> = Promise.resolve(undefined);

  const start = async ({ config, drains }: ToWorker & { type: 'start' }) => {
    const worker = cluster.worker?.id;
    try {
      const running = await startGateway(config, {
        logger: createLogger(config.log.level).child({ worker }),
        scrape,
        drains,
        onDrained: (name, drained) => send({ type: 'drain-upstream', order: { name, drained } }),
      });
      send({ type: 'listening', url: running.url });
      return running;
    } catch (error) {
      send({ type: 'failed', detail: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };

  const handle = async (message: ToWorker): Promise<void> => {
    if (message.type === 'start') started = start(message);
    const running = await started;
    switch (message.type) {
      case 'start':
        break;
      case 'reload':
        await running?.reload(async () => ({ config: message.config, modelPaths: new Map() }));
        break;
      case 'reload-refused':
        await running?.reload(async () => {
          throw new Error(message.detail);
        });
        break;
      case 'drain-upstream':
        running?.setDrained(message.order.name, message.order.drained);
        break;
      case 'measure':
        send({ type: 'measured', id: message.id, snapshot: (await running?.snapshot()) ?? [] });
        break;
      case 'scraped':
        scrapes.get(message.id)?.(message.scrape);
        scrapes.delete(message.id);
        break;
      case 'ping':
        send({ type: 'pong' });
        break;
      case 'stop': {
        const cut = (await running?.drain()) ?? 0;
        process.send?.({ type: 'stopped', cut } satisfies FromWorker, () => process.exit(0));
        break;
      }
    }
  };
  process.on('message', (message: ToWorker) => void handle(message));
}
