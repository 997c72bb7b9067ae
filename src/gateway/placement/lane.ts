import type { BackendHealth } from '../../core/backend.ts';
import type { Deployment } from '../../core/deployment.ts';
import type { AppError } from '../../core/error.ts';
import type { BackendReport } from '../../core/report.ts';
import { type AnswerKind, ConcurrencyLimit, type Entry } from '../backend/concurrency-limit.ts';
import { CoolDown } from '../backend/cool-down.ts';
import { LatencyHistogram } from '../backend/latency-histogram.ts';
import { ModelTimings, type Timing } from '../backend/model-timings.ts';
import { type FleetMember, Slowness } from '../backend/outlier.ts';
import { type Awaited, Overdue } from '../backend/overdue.ts';
import { Headroom, type Room } from '../headroom/headroom.ts';
import type { Tenant } from '../request/tenant.ts';
import { LentPlaces, type Pauses, type SlowClient } from './lent-places.ts';

/**
 * A request on its way through a lane. Who holds whom:
 *
 *   Slot ─┬─ Passage ─┬─ Entry  when it came, and among how many (`ConcurrencyLimit`)
 *         │           ├─ Stay   whose it is, and how much that tenant had inside (`Stays`)
 *         │           └─ Pause  since when its client takes nothing (`LentPlaces`)
 *         └─ Charge             what its tenant is charged for it in line (`TokenCounters`)
 */
export interface Passage extends Pauses, Awaited {
  readonly entry: Entry;
}

/** What the gateway has learnt of one backend, whatever models it serves. */
export class Lane implements FleetMember {
  readonly slowness: Slowness;
  readonly coolDown: CoolDown;
  readonly ttft: LatencyHistogram;
  readonly tpot: LatencyHistogram;
  readonly limit: ConcurrencyLimit | undefined;
  readonly #headroom: Headroom | undefined;
  readonly #lent: LentPlaces | undefined;
  readonly #overdue: Overdue | undefined;
  /** Attempts here after a failed one elsewhere, ever. */
  retries = 0;
  /** Second attempts here for late ones elsewhere, ever. */
  readonly hedges = { won: 0, lost: 0 };
  readonly #backend: Deployment['backend'];
  readonly #now: () => number;
  readonly #models = new Map<string, ModelTimings>();
  #inFlight = 0;

  constructor(backend: Deployment['backend'], now: () => number, random: () => number) {
    this.#backend = backend;
    this.#now = now;
    this.slowness = new Slowness(now, random);
    this.coolDown = new CoolDown(now);
    this.ttft = new LatencyHistogram(now);
    this.tpot = new LatencyHistogram(now);
    this.limit = backend.concurrency && new ConcurrencyLimit(backend.concurrency, now);
    const room = this.limit ?? this.#places(backend.places);
    this.#headroom = room && new Headroom(room, now);
    this.#lent = this.limit && new LentPlaces(this.limit, this.#headroom!, now);
    const { limit } = this;
    this.#overdue = limit && new Overdue((kind, predictedMs) => limit.inTimeMs(kind, predictedMs));
  }

  /** It takes requests, as far as is known, and has not asked to be left alone. */
  get works(): boolean {
    return this.health.state === 'ready' && this.coolDown.leftMs === 0;
  }

  /** It works, and not far slower than its peers. */
  get ready(): boolean {
    return this.works && this.slowness.ejectedMs === 0;
  }

  /** @param hasLine It has a line of its own. */
  hasRoomFor(tenant: Tenant, hasLine: boolean): boolean {
    this.#lent?.lend();
    const found = this.#overdue?.look(this.#now());
    if (found !== undefined) this.limit!.suspect(found);
    return this.#headroom?.hasRoomFor(tenant, hasLine) ?? true;
  }

  /** A request of the tenant finds no place at once. */
  asked(tenant: Tenant): void {
    this.#headroom?.asked(tenant);
  }

  /** A tenant that is alone here may soon be given more room than now. */
  get opens(): boolean {
    return this.#headroom?.opens === true;
  }

  /** Without those whose places are lent. */
  get inFlight(): number {
    return this.#inFlight - (this.#lent?.count ?? 0);
  }

  get health(): BackendHealth {
    return this.#backend.health();
  }

  /** When to ask again, as far as it is known. */
  get retryAfterMs(): number | undefined {
    const { state, retryAfterMs } = this.health;
    const coolingMs = this.coolDown.leftMs;
    const downMs = state === 'ready' ? undefined : retryAfterMs;
    return coolingMs > 0 ? Math.max(coolingMs, downMs ?? 0) : downMs;
  }

  timings(model: string): ModelTimings {
    let known = this.#models.get(model);
    if (known === undefined) {
      known = new ModelTimings(this.#now);
      this.#models.set(model, known);
    }
    return known;
  }

  /**
   * @param hasLine Its tenant has a line of its own.
   * @param timing Of requests like it.
   */
  enter(tenant: Tenant, hasLine: boolean, timing: Timing, sizeBytes: number, stream: boolean): Passage {
    this.#inFlight += 1;
    const predictMs = () => (stream ? timing.predictMs(sizeBytes) : undefined);
    // First, so that it is among those inside for everybody who counts them.
    const entry = this.limit?.take() ?? { startedAtMs: this.#now(), among: this.#inFlight };
    const stay = this.#headroom?.enter(tenant, hasLine, predictMs);
    const kind = stream ? 'first-token' : 'whole';
    const passage: Passage = {
      stay,
      entry,
      timing,
      sizeBytes,
      kind,
      fate: 'unknown',
      pause: undefined,
      pausedMs: 0,
    };
    this.#overdue?.began(passage);
    return passage;
  }

  /** Something of its reply is there. */
  begun(passage: Passage): void {
    const { stay } = passage;
    passage.fate = 'answered';
    if (stay !== undefined) this.#headroom?.begun(stay);
  }

  /** Its client takes nothing for now, so that the backend is not read. */
  paused(passage: Passage, client: SlowClient): void {
    this.#lent?.paused(passage, client);
  }

  resumed(passage: Passage): void {
    this.#lent?.resumed(passage);
  }

  /** Somebody has to wait for a place. @returns One will be free in a moment, since somebody has to go. */
  reclaim(): boolean {
    return this.#lent?.reclaim() === true;
  }

  /** @param heldUp By its client. */
  leave(passage: Passage, heldUp = false): void {
    const { stay } = passage;
    this.resumed(passage);
    if (passage.fate === 'unknown') passage.fate = 'gone';
    this.#inFlight -= 1;
    this.limit?.give();
    if (stay !== undefined) this.#headroom?.leave(stay, heldUp);
  }

  /**
   * What took longer than predicted tells of congestion, or of a backend that has become slow.
   *
   * @param idle Its tenant has nothing else in line.
   * @param waitedInLineMs Its time in line before it was sent here, while its tenant had nothing running.
   */
  answered(
    kind: AnswerKind,
    observedMs: number,
    predictedMs: number,
    { entry, stay }: Passage,
    idle: boolean,
    waitedInLineMs: number,
  ): void {
    this.slowness.observe(observedMs, predictedMs, entry.startedAtMs);
    this.limit?.answered(kind, observedMs, predictedMs, entry);
    if (stay === undefined) return;
    const { startedAtMs, among } = entry;
    const fared = { startedAtMs, among, tookMs: observedMs, predictedMs };
    this.#headroom?.answered(stay, kind, fared, idle, waitedInLineMs > 0);
  }

  failed(error: AppError, startedAtMs: number): void {
    this.coolDown.failed(error);
    if (this.isFull(error)) this.limit?.refused(startedAtMs);
  }

  /** Whether a request inside that failed so was one too many: a 503 that comes while others are inside says it, too. */
  isFull({ code, nothingSent }: AppError): boolean {
    if (code === 'upstream_unreachable') return !nothingSent && this.#inFlight > 1;
    return code === 'rate_limit_exceeded' || code === 'overloaded';
  }

  /** The same, and there will be room as soon as another has left. */
  hasRoomSoon(error: AppError): boolean {
    return this.isFull(error) && error.retryAfterMs === undefined && this.#inFlight > 1;
  }

  report(): BackendReport {
    const { name, kind } = this.#backend;
    return {
      name,
      kind,
      health: this.health,
      inFlight: this.#inFlight,
      lent: this.#lent?.count,
      limit: this.limit?.limit,
      held: this.#headroom?.held,
      coolingMs: Math.ceil(this.coolDown.leftMs),
      ejectedMs: Math.ceil(this.slowness.ejectedMs),
      ejections: this.slowness.ejections,
      retries: this.retries,
      hedges: { ...this.hedges },
      ttft: this.ttft.report(),
      tpot: this.tpot.report(),
    };
  }

  /**
   * For a backend that has its own queue, and says how many it works on at once: a tenant that is alone is never kept
   * out.
   */
  #places(places: number | undefined): Room | undefined {
    const inFlight = () => this.#inFlight;
    if (places === undefined) return undefined;
    return {
      limit: places,
      free: true,
      get inFlight() {
        return inFlight();
      },
    };
  }
}
