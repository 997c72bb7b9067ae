import cluster, { type Worker } from 'node:cluster';
import type { Config } from '../../config/schema.ts';
import { KnownKeys } from '../access/known-keys.ts';
import type { UpstreamReport, WorkerReport } from '../api/admin/upstream-report.ts';
import { hostTimeMs } from '../core/host-clock.ts';
import { withFixed } from '../fleet/reloader.ts';
import type { DatabaseLocation } from '../store/location.ts';
import { createLogger, type Logger } from '../telemetry/log.ts';
import { CollectedMetrics } from './collected-metrics.ts';
import { Gather } from './gather.ts';
import { handOverAgain } from './handed-over.ts';
import { onReloadRequests } from './reload-requests.ts';
import { StandingOrders } from './standing-orders.ts';
import { onStopSignals } from './stop-signal.ts';
import type { FromWorker } from './worker-messages.ts';
import { Workers } from './workers.ts';

export interface PrimaryOptions {
  readonly config: Config;
  readonly file: string | undefined;
  /** @throws Error if the configuration cannot be used. */
  readonly readConfig: () => Config;
}

/** Workers end themselves after `drainTimeoutMs`; this is for those that cannot. */
const STOP_GRACE_MS = 5_000;
/** What a worker that starts is told of at once. */
const MAX_KNOWN_KEYS = 10_000;

/**
 * Runs `listen.workers` gateway processes on one port, and no traffic of its own: it accepts connections and hands them round,
 * replaces workers that die, spreads signals, configurations and operators' orders, and adds up metrics. Each worker has its own
 * connections, breakers and counts of what is in flight.
 */
export async function serveAsPrimary(options: PrimaryOptions): Promise<void> {
  await new Primary(options).serve();
}

type Receive<M> = (worker: Worker, message: M) => void | Promise<void>;

class Primary {
  readonly #options: PrimaryOptions;
  readonly #logger: Logger;
  readonly #workers: Workers;
  readonly #metrics: CollectedMetrics;
  readonly #orders = new StandingOrders();
  /** Of no use here, but for workers that start while the database is away. */
  readonly #keys = new KnownKeys(MAX_KNOWN_KEYS, hostTimeMs);
  readonly #looking = new Gather<UpstreamReport | undefined>();
  /** Rejected if the first workers cannot start. */
  readonly #failed = Promise.withResolvers<never>();
  #config: Config;
  /** What the first worker has opened. */
  #database: DatabaseLocation | undefined;
  /** Workers that have come to listen so far. */
  #listening = 0;
  /** Requests that were cut off at the end. */
  #cut = 0;

  constructor(options: PrimaryOptions) {
    const { config } = options;
    this.#options = options;
    this.#config = config;
    this.#logger = createLogger(config.log.level);
    cluster.on('fork', handOverAgain);
    this.#workers = new Workers({
      count: config.listen.workers,
      startMessage: () => ({
        type: 'start',
        config: this.#config,
        database: this.#database,
        ...this.#orders.all,
        keyNews: this.#keys.news,
      }),
      onMessage: (worker, message) => void this.#receive(worker, message),
      onLost: (worker, how, restartMs) => void this.#lost(worker, how, restartMs),
    });
    this.#metrics = new CollectedMetrics(this.#workers);
  }

  /** Until SIGTERM or SIGINT; then ends the process. @throws Error if the workers cannot start */
  async serve(): Promise<void> {
    const { config, file } = this.#options;
    this.#logger.info(
      { workers: config.listen.workers },
      config.redis === null
        ? 'breakers and retry budgets hold for each worker by itself; of limits each gives out its share, as exact ones need `redis`'
        : 'breakers and retry budgets hold for each worker by itself; limits hold for all of them, in Redis',
    );
    const stop = Promise.withResolvers<NodeJS.Signals>();
    onStopSignals({
      stop: stop.resolve,
      endNow: () => {
        this.#workers.kill();
        process.exit(130);
      },
    });
    await onReloadRequests({
      file,
      logger: this.#logger,
      reload: () => this.#reload(),
      stop: stop.resolve,
    });

    const signal = await Promise.race([stop.promise, this.#failed.promise]).catch((error: unknown) => {
      this.#workers.kill();
      throw error;
    });
    this.#logger.info({ signal, workers: this.#workers.running.length }, 'draining');
    const { drainDelayMs, drainTimeoutMs } = this.#config.listen;
    await this.#workers.stop(drainDelayMs + drainTimeoutMs + STOP_GRACE_MS);
    this.#logger.info({ cut: this.#cut }, 'stopped');
    process.exit(0);
  }

  #reload(): void {
    try {
      const next = withFixed(this.#options.readConfig(), this.#config);
      if (next.engines.length > 0) throw new Error('engines: need listen.workers: 1, and a restart');
      this.#config = next;
      this.#logger.level = next.log.level;
      this.#workers.broadcast({ type: 'reload', config: next });
    } catch (error) {
      this.#workers.broadcast({ type: 'reload-refused', detail: (error as Error).message });
    }
  }

  async #lost(worker: Worker, how: string, restartMs: number): Promise<void> {
    this.#logger.error({ worker: worker.id, how, restartMs }, 'worker lost');
    try {
      await this.#metrics.lost(worker);
    } catch (err) {
      this.#logger.error({ err, worker: worker.id }, 'what a lost worker had counted is lost');
    }
  }

  /** Never rejects: that would end this process, and all workers with it. */
  async #receive(worker: Worker, message: FromWorker): Promise<void> {
    try {
      await (this.#receivers[message.type] as Receive<FromWorker>)(worker, message);
    } catch (err) {
      this.#logger.error(
        { err, worker: worker.id, message: message.type },
        'a message of a worker came to nothing',
      );
      if (message.type === 'scrape' || message.type === 'look-everywhere')
        this.#workers.send(worker, { type: 'not-collected', asked: message.type, id: message.id });
    }
  }

  readonly #receivers: { readonly [T in FromWorker['type']]: Receive<FromWorker & { readonly type: T }> } = {
    listening: (worker, { url, database }) => {
      this.#database ??= database;
      const { workers } = this.#config.listen;
      this.#listening += 1;
      if (this.#listening === workers) {
        const models = this.#config.models.map(({ name }) => name);
        this.#logger.info({ url: `${url}/v1`, models, workers }, 'listening');
      } else if (this.#listening > workers) this.#logger.info({ worker: worker.id }, 'worker replaced');
    },
    failed: (worker, { detail }) => {
      if (this.#listening === 0) this.#failed.reject(new Error(detail));
      else this.#logger.error({ worker: worker.id, reason: detail }, 'worker did not start');
      worker.process.kill('SIGKILL');
    },
    'drain-upstream': (worker, message) => {
      this.#orders.drain(message.order);
      this.#workers.broadcast(message, worker);
    },
    'roll-back-canary': (worker, message) => {
      this.#orders.rollBack(message.found);
      this.#workers.broadcast(message, worker);
    },
    'resume-canary': (worker, message) => {
      this.#orders.resume(message.deployment);
      this.#workers.broadcast(message, worker);
    },
    'key-news': (worker, message) => {
      this.#keys.hear(message.news);
      this.#workers.broadcast(message, worker);
    },
    scrape: async (worker, { id }) =>
      this.#workers.send(worker, { type: 'scraped', id, scrape: await this.#metrics.scrape() }),
    measured: (worker, message) => this.#metrics.measured(worker, message),
    'look-everywhere': async (worker, { id }) =>
      this.#workers.send(worker, { type: 'all-upstreams', id, workers: await this.#look() }),
    upstreams: (worker, { id, report }) => this.#looking.answered(id, worker.id, report),
    pong: () => {},
    stopped: (_worker, { cut }) => {
      this.#cut += cut;
    },
  };

  /** What every worker sees of the upstreams. */
  async #look(): Promise<WorkerReport[]> {
    const workers = this.#workers;
    const reports = await this.#looking.ask(workers.running.length, (id) =>
      workers.broadcast({ type: 'show-upstreams', id }),
    );
    return [...reports]
      .sort(([a], [b]) => a - b)
      .flatMap(([worker, report]) => (report === undefined ? [] : { worker, ...report }));
  }
}
