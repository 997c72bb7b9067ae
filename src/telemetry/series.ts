import type { Metric, Registry } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly metricName?: string;
  readonly labels: Labels;
  readonly value: number;
}

interface Description {
  readonly name: string;
  readonly help: string;
}

/** A label's values, found once and kept by whoever counts: prom-client's own metrics hash the labels at every call. */
export class CounterSeries {
  readonly labels: Labels;
  total = 0;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  add(amount: number): void {
    this.total += amount;
  }

  samples(): Sample[] {
    return [{ labels: this.labels, value: this.total }];
  }
}

export class HistogramSeries {
  readonly labels: Labels;
  readonly #name: string;
  readonly #bounds: Float64Array;
  /** Per bucket, not cumulative; the last is beyond every bound. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(name: string, labels: Labels, bounds: Float64Array) {
    this.#name = name;
    this.labels = labels;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.#counts[bucket]! += 1;
    this.#sum += value;
  }

  samples(): Sample[] {
    const { labels } = this;
    let cumulative = 0;
    const buckets = Array.from(this.#counts, (count, i) => {
      cumulative += count;
      const le = i < this.#bounds.length ? String(this.#bounds[i]) : '+Inf';
      return { metricName: `${this.#name}_bucket`, labels: { le, ...labels }, value: cumulative };
    });
    return [
      ...buckets,
      { metricName: `${this.#name}_sum`, labels, value: this.#sum },
      { metricName: `${this.#name}_count`, labels, value: cumulative },
    ];
  }
}

/** A counter whose series are looked up once: `series(labels).add(1)`. */
export function countedIn(
  registry: Registry,
  { name, help }: Description,
): (labels: Labels) => CounterSeries {
  return family(registry, { name, help, type: 'counter' }, (labels) => new CounterSeries(labels));
}

/** A histogram whose series are looked up once: `series(labels).observe(seconds)`. */
export function timedIn(
  registry: Registry,
  { name, help, buckets }: Description & { readonly buckets: readonly number[] },
): (labels: Labels) => HistogramSeries {
  const bounds = Float64Array.from(buckets);
  return family(
    registry,
    { name, help, type: 'histogram' },
    (labels) => new HistogramSeries(name, labels, bounds),
  );
}

function family<S extends { samples(): Sample[] }>(
  registry: Registry,
  description: Description & { readonly type: 'counter' | 'histogram' },
  create: (labels: Labels) => S,
): (labels: Labels) => S {
  const all: S[] = [];
  const metric = {
    ...description,
    aggregator: 'sum',
    get: async () => ({
      ...description,
      aggregator: 'sum',
      values: all.flatMap((series) => series.samples()),
    }),
    reset: () => {
      all.length = 0;
    },
  };
  // What a registry asks of a metric; prom-client's types know only its own classes.
  registry.registerMetric(metric as unknown as Metric);
  return (labels) => {
    const series = create(labels);
    all.push(series);
    return series;
  };
}
