import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import type { Scrape } from './metrics.ts';

/** Metrics as one process has them, fit to be sent to another. */
export type MetricsSnapshot = MetricObjectWithValues<MetricValue<string>>[];

/**
 * The metrics of several processes as those of one. What a process had counted when it was last seen stays counted after its end:
 * a counter that falls would look like a restart of everything.
 */
export class MetricsAggregate {
  readonly #latest = new Map<number, MetricsSnapshot>();
  #departed: MetricsSnapshot = [];

  update(process: number, snapshot: MetricsSnapshot): void {
    this.#latest.set(process, snapshot);
  }

  /** A process has ended. */
  async lost(process: number): Promise<void> {
    const counted = this.#latest
      .get(process)
      ?.filter(({ type }) => ['counter', 'histogram'].includes(String(type)));
    this.#latest.delete(process);
    if (counted === undefined) return;
    this.#departed = await AggregatorRegistry.aggregate([this.#departed, counted]).getMetricsAsJSON();
  }

  /** @param own Of the process that asks, which is none of those above. */
  async render(own: MetricsSnapshot): Promise<Scrape> {
    const all = AggregatorRegistry.aggregate([...this.#latest.values(), this.#departed, own]);
    const body = await all.metrics();
    return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, body: body.endsWith('\n') ? body : `${body}\n` };
  }
}
