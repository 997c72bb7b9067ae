import cluster, { type Worker } from 'node:cluster';
import { Counter, Gauge, Registry } from 'prom-client';
import type { Config } from '../../config/schema.ts';
import type { UpstreamReport, WorkerReport } from '../api/admin/upstream-report.ts';
import type { CanaryRolledBack } from '../core/event.ts';
import { withFixed } from '../fleet/reloader.ts';
import { MetricsAggregate } from '../telemetry/aggregate.ts';
import { createLogger } from '../telemetry/log.ts';
import { Gather } from './gather.ts';
import { handOverAgain } from './handed-over.ts';
import { onReloadRequests } from './reload-requests.ts';
import { onStopSignals } from './stop-signal.ts';
import type { DrainOrder, FromWorker } from './worker-messages.ts';
import { Workers } from './workers.ts';

export interface PrimaryOptions {
  readonly config: Config;
  readonly file: string | undefined;
  /** @throws Error if the configuration cannot be used. */
  readonly readConfig: () => Config;
}

/** Workers end themselves after `drainTimeoutMs`; this is for those that cannot. */
const STOP_GRACE_MS = 5_000;

/**
 * Runs `listen.workers` gateway processes on one port, and no traffic of its own: it accepts connections and hands them round,
 * replaces workers that die, spreads signals, configurations and operators' orders, and adds up metrics. Each worker has its own
 * connections, breakers and counts of what is in flight.
 */
export async function serveAsPrimary({ config, file, readConfig }: PrimaryOptions): Promise<void> {
  const logger = createLogger(config.log.level);
  const aggregate = new MetricsAggregate();
  const drains = new Map<string, DrainOrder>();
  const rollBacks = new Map<string, CanaryRolledBack>();
  const measuring = new Gather<void>();
  const looking = new Gather<UpstreamReport | undefined>();
  const failed = Promise.withResolvers<never>();
  let current = config;
  let listening = 0;
  let cut = 0;

  cluster.on('fork', handOverAgain);
  const workers = new Workers({
    count: config.listen.workers,
    startMessage: () => ({
      type: 'start',
      config: current,
      drains: [...drains.values()],
      rollBacks: [...rollBacks.values()],
    }),
    onMessage: (worker, message) => receive(worker, message),
    onLost(worker, how, restartMs) {
      logger.error({ worker: worker.id, how, restartMs }, 'worker lost');
      void aggregate.lost(worker.id);
    },
  });
  const own = ownMetrics(workers);

  const receive = (worker: Worker, message: FromWorker): void => {
    switch (message.type) {
      case 'listening':
        listening++;
        if (listening === config.listen.workers) {
          const models = current.models.map(({ name }) => name);
          logger.info({ url: `${message.url}/v1`, models, workers: listening }, 'listening');
        } else if (listening > config.listen.workers) logger.info({ worker: worker.id }, 'worker replaced');
        break;
      case 'failed':
        if (listening === 0) failed.reject(new Error(message.detail));
        else logger.error({ worker: worker.id, reason: message.detail }, 'worker did not start');
        worker.process.kill('SIGKILL');
        break;
      case 'drain-upstream':
        // The latest word about a name counts, in the order in which the words were said.
        drains.delete(message.order.name);
        drains.set(message.order.name, message.order);
        workers.broadcast(message, worker);
        break;
      case 'roll-back-canary':
        rollBacks.set(`${message.found.model}\n${message.found.deployment}`, message.found);
        workers.broadcast(message, worker);
        break;
      case 'resume-canary':
        for (const [key, { deployment }] of rollBacks)
          if (deployment === message.deployment) rollBacks.delete(key);
        workers.broadcast(message, worker);
        break;
      case 'measured':
        aggregate.update(worker.id, message.snapshot);
        measuring.answered(message.id, worker.id);
        break;
      case 'upstreams':
        looking.answered(message.id, worker.id, message.report);
        break;
      case 'look-everywhere':
        void look().then((reports) =>
          workers.send(worker, { type: 'all-upstreams', id: message.id, workers: reports }),
        );
        break;
      case 'scrape':
        void scrape().then((result) =>
          workers.send(worker, { type: 'scraped', id: message.id, scrape: result }),
        );
        break;
      case 'pong':
        break;
      case 'stopped':
        cut += message.cut;
        break;
    }
  };

  /** A worker that does not answer in time is counted as it was. */
  const scrape = async () => {
    await measuring.ask(workers.running.length, (id) => workers.broadcast({ type: 'measure', id }));
    return await aggregate.render(await own.getMetricsAsJSON());
  };

  const look = async (): Promise<WorkerReport[]> => {
    const reports = await looking.ask(workers.running.length, (id) =>
      workers.broadcast({ type: 'show-upstreams', id }),
    );
    return [...reports]
      .sort(([a], [b]) => a - b)
      .flatMap(([worker, report]) => (report === undefined ? [] : { worker, ...report }));
  };

  const reload = (): void => {
    try {
      const next = withFixed(readConfig(), config);
      if (next.engines.length > 0) throw new Error('engines: need listen.workers: 1, and a restart');
      current = next;
      logger.level = next.log.level;
      workers.broadcast({ type: 'reload', config: next });
    } catch (error) {
      workers.broadcast({ type: 'reload-refused', detail: (error as Error).message });
    }
  };

  logger.info(
    { workers: config.listen.workers },
    config.redis === null
      ? 'breakers and retry budgets hold for each worker by itself; of limits each gives out its share, as exact ones need `redis`'
      : 'breakers and retry budgets hold for each worker by itself; limits hold for all of them, in Redis',
  );
  const stop = Promise.withResolvers<NodeJS.Signals>();
  onStopSignals({
    stop: stop.resolve,
    endNow: () => {
      workers.kill();
      process.exit(130);
    },
  });
  await onReloadRequests({ file, logger, reload, stop: stop.resolve });

  const signal = await Promise.race([stop.promise, failed.promise]).catch((error: unknown) => {
    workers.kill();
    throw error;
  });
  logger.info({ signal, workers: workers.running.length }, 'draining');
  const { drainDelayMs, drainTimeoutMs } = current.listen;
  await workers.stop(drainDelayMs + drainTimeoutMs + STOP_GRACE_MS);
  logger.info({ cut }, 'stopped');
  process.exit(0);
}

function ownMetrics(workers: Workers): Registry {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'qianmen_workers',
    help: 'Gateway processes that run.',
    registers,
    collect() {
      this.set(workers.running.length);
    },
  });
  new Counter({
    name: 'qianmen_worker_restarts_total',
    help: 'Gateway processes started in place of one that died.',
    registers,
    collect() {
      this.reset();
      this.inc(workers.restarts);
    },
  });
  return registry;
}
