import type { Worker } from 'node:cluster';
import { Counter, Gauge, Registry } from 'prom-client';
import { MetricsAggregate } from '../telemetry/aggregate.ts';
import type { Scrape } from '../telemetry/metrics.ts';
import { Gather } from './gather.ts';
import type { FromWorker } from './worker-messages.ts';
import type { Workers } from './workers.ts';

/** The metrics of all workers together, and what only the primary knows. */
export class CollectedMetrics {
  readonly #workers: Workers;
  readonly #aggregate = new MetricsAggregate();
  readonly #measuring = new Gather<void>();
  readonly #own: Registry;

  constructor(workers: Workers) {
    this.#workers = workers;
    this.#own = ownMetrics(workers);
  }

  /** A worker that does not answer in time is counted as it was. */
  async scrape(): Promise<Scrape> {
    const workers = this.#workers;
    await this.#measuring.ask(workers.running.length, (id) => workers.broadcast({ type: 'measure', id }));
    return await this.#aggregate.render(await this.#own.getMetricsAsJSON());
  }

  measured(worker: Worker, { id, snapshot }: FromWorker & { readonly type: 'measured' }): void {
    this.#aggregate.update(worker.id, snapshot);
    this.#measuring.answered(id, worker.id);
  }

  /** What it had counted stays counted. */
  async lost(worker: Worker): Promise<void> {
    await this.#aggregate.lost(worker.id);
  }
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
