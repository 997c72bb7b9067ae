import type { BackendHealth } from '../core/backend.ts';
import type { Deployment } from '../core/deployment.ts';
import type { AppError } from '../core/error.ts';
import type { BackendReport } from '../core/report.ts';
import { ConcurrencyLimit, type Entry } from './concurrency-limit.ts';
import { CoolDown } from './cool-down.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { LatencyModel } from './latency-model.ts';
import { type FleetMember, Slowness } from './outlier.ts';

/** What the gateway has learnt of one backend, whatever models it serves. */
export class Lane implements FleetMember {
  readonly slowness: Slowness;
  readonly coolDown: CoolDown;
  readonly ttft: LatencyHistogram;
  readonly tpot: LatencyHistogram;
  readonly limit: ConcurrencyLimit | undefined;
  /** Attempts here after a failed one elsewhere, ever. */
  retries = 0;
  /** Second attempts here for late ones elsewhere, ever. */
  readonly hedges = { won: 0, lost: 0 };
  readonly #backend: Deployment['backend'];
  readonly #now: () => number;
  readonly #models = new Map<string, LatencyModel>();
  #inFlight = 0;

  constructor(backend: Deployment['backend'], now: () => number, random: () => number) {
    this.#backend = backend;
    this.#now = now;
    this.slowness = new Slowness(now, random);
    this.coolDown = new CoolDown(now);
    this.ttft = new LatencyHistogram(now);
    this.tpot = new LatencyHistogram(now);
    this.limit = backend.concurrency && new ConcurrencyLimit(backend.concurrency, now);
  }

  get ready(): boolean {
    return this.health.state === 'ready' && this.slowness.ejectedMs === 0 && this.coolDown.leftMs === 0;
  }

  get free(): boolean {
    return this.limit?.free ?? true;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get health(): BackendHealth {
    return this.#backend.health();
  }

  /** When to ask again, as far as anybody said. */
  get retryAfterMs(): number | undefined {
    const { state, retryAfterMs } = this.health;
    const coolingMs = this.coolDown.leftMs;
    const downMs = state === 'ready' ? undefined : retryAfterMs;
    return coolingMs > 0 ? Math.max(coolingMs, downMs ?? 0) : downMs;
  }

  latency(model: string): LatencyModel {
    let known = this.#models.get(model);
    if (known === undefined) {
      known = new LatencyModel(this.#now);
      this.#models.set(model, known);
    }
    return known;
  }

  enter(): Entry {
    this.#inFlight += 1;
    return this.limit?.take() ?? { startedAtMs: this.#now(), among: this.#inFlight };
  }

  leave(): void {
    this.#inFlight -= 1;
    this.limit?.give();
  }

  failed(error: AppError, startedAtMs: number): void {
    this.coolDown.failed(error);
    if (error.code === 'rate_limit_exceeded' || error.code === 'overloaded') this.limit?.refused(startedAtMs);
  }

  report(): BackendReport {
    const { name, kind } = this.#backend;
    return {
      name,
      kind,
      health: this.health,
      inFlight: this.#inFlight,
      limit: this.limit?.limit,
      coolingMs: Math.ceil(this.coolDown.leftMs),
      ejectedMs: Math.ceil(this.slowness.ejectedMs),
      ejections: this.slowness.ejections,
      retries: this.retries,
      hedges: { ...this.hedges },
      ttft: this.ttft.report(),
      tpot: this.tpot.report(),
    };
  }
}
