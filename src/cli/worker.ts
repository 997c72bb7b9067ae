import cluster from 'node:cluster';
import type { WorkerReport } from '../api/admin/upstream-report.ts';
import type { RunningGateway } from '../running-gateway.ts';
import { startGateway } from '../serve.ts';
import { createLogger } from '../telemetry/log.ts';
import type { Scrape } from '../telemetry/metrics.ts';
import { tidyWhileIdle } from './tidy-heap.ts';
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
  const waiting = new Map<number, (answer: never) => void>();
  let lastId = 0;
  /** The primary collects what concerns all workers. */
  const askPrimary = <T>(type: 'scrape' | 'look-everywhere'): Promise<T> => {
    const id = ++lastId;
    const { promise, resolve } = Promise.withResolvers<T>();
    waiting.set(id, resolve);
    send({ type, id });
    return promise;
  };
  const answered = (id: number, answer: unknown) => {
    waiting.get(id)?.(answer as never);
    waiting.delete(id);
  };
  let started: Promise<RunningGateway | undefined> = Promise.resolve(undefined);

  const start = async ({ config, drains, rollBacks }: ToWorker & { type: 'start' }) => {
    const worker = cluster.worker?.id;
    try {
      const running = await startGateway(config, {
        logger: createLogger(config.log.level).child({ worker }),
        scrape: () => askPrimary<Scrape>('scrape'),
        everywhere: () => askPrimary<readonly WorkerReport[]>('look-everywhere'),
        drains,
        onDrained: (name, drained) => send({ type: 'drain-upstream', order: { name, drained } }),
        onCanaryResumed: (deployment) => send({ type: 'resume-canary', deployment }),
        onCanaryRolledBack: (found) => send({ type: 'roll-back-canary', found }),
      });
      for (const found of rollBacks) running.gateway.rollBackCanary(found);
      tidyWhileIdle(running);
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
      case 'roll-back-canary':
        running?.gateway.rollBackCanary(message.found);
        break;
      case 'resume-canary':
        running?.gateway.resumeCanary(message.deployment);
        break;
      case 'measure':
        send({ type: 'measured', id: message.id, snapshot: (await running?.snapshot()) ?? [] });
        break;
      case 'scraped':
        answered(message.id, message.scrape);
        break;
      case 'show-upstreams':
        send({ type: 'upstreams', id: message.id, report: running?.upstreams() });
        break;
      case 'all-upstreams':
        answered(message.id, message.workers);
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
