import cluster from 'node:cluster';
import type { WorkerReport } from '../api/admin/upstream-report.ts';
import type { RunningGateway } from '../running-gateway.ts';
import { startGateway } from '../serve.ts';
import { createLogger } from '../telemetry/log.ts';
import type { Scrape } from '../telemetry/metrics.ts';
import { Questions } from './questions.ts';
import { tidyWhileIdle } from './tidy-heap.ts';
import type { FromWorker, ToWorker } from './worker-messages.ts';

/**
 * One of several gateway processes that share a port. It does what the primary tells it, and leaves signals to it: a terminal or
 * a service manager sends them to every process. Ends with the primary.
 */
export async function serveAsWorker(): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const logger = createLogger('info').child({ worker: cluster.worker?.id });
  const send = (message: FromWorker) => {
    if (process.connected) process.send?.(message);
  };
  const scrapes = new Questions<Scrape>();
  const looks = new Questions<readonly WorkerReport[]>();
  let started: Promise<RunningGateway | undefined> = Promise.resolve(undefined);

  const start = async ({ config, database, drains, rollBacks, keyNews }: ToWorker & { type: 'start' }) => {
    logger.level = config.log.level;
    try {
      const running = await startGateway(config, {
        logger,
        database,
        scrape: () => scrapes.ask((id) => send({ type: 'scrape', id })),
        everywhere: () => looks.ask((id) => send({ type: 'look-everywhere', id })),
        drains,
        onDrained: (name, drained) => send({ type: 'drain-upstream', order: { name, drained } }),
        onCanaryResumed: (deployment) => send({ type: 'resume-canary', deployment }),
        onCanaryRolledBack: (found) => send({ type: 'roll-back-canary', found }),
        keyNews,
        onKeyNews: (news) => send({ type: 'key-news', news }),
      });
      for (const found of rollBacks) running.gateway.rollBackCanary(found);
      tidyWhileIdle(running);
      send({ type: 'listening', url: running.url, database: running.database });
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
      case 'key-news':
        running?.hearOfKeys(message.news);
        break;
      case 'measure':
        send({ type: 'measured', id: message.id, snapshot: (await running?.snapshot()) ?? [] });
        break;
      case 'scraped':
        scrapes.answered(message.id, message.scrape);
        break;
      case 'show-upstreams':
        send({ type: 'upstreams', id: message.id, report: running?.upstreams() });
        break;
      case 'all-upstreams':
        looks.answered(message.id, message.workers);
        break;
      case 'not-collected':
        (message.asked === 'scrape' ? scrapes : looks).failed(message.id);
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
  process.on('message', (message: ToWorker) => {
    handle(message).catch((err: unknown) => {
      logger.error({ err, message: message.type }, 'what the primary said was not done');
      // Then it is of no more use, and the others wait for it.
      if (message.type === 'stop') process.exit(1);
    });
  });
}
