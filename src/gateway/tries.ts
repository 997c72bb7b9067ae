import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { AttemptKind } from '../core/event.ts';
import { type Attempt, hedge } from './hedge.ts';
import type { Route } from './placement/route.ts';
import type { Slot, SlotRequest } from './placement/slot.ts';
import { endedBy } from './request/deadline.ts';
import type { RequestContext } from './request-context.ts';

/** The attempts of one request: which deployments are left, and which attempt was answered first. */
export class Tries<D extends Deployment, T> {
  readonly request: SlotRequest;
  readonly context: RequestContext;
  readonly #capable: (route: Route) => readonly D[];
  readonly #start: (deployment: D, signal: AbortSignal) => Promise<T>;
  #tried: readonly D[] = [];
  /** The last of them, if it had one too many and others will leave. */
  #full: D | undefined;
  #answered = false;
  /** The attempts that run now are hedged: each records its own end. */
  #isContested = false;
  /** The route that the deployments in `#known` are from. */
  #route: Route | undefined;
  #known: readonly D[] = [];

  constructor(
    capable: (route: Route) => readonly D[],
    request: SlotRequest,
    context: RequestContext,
    start: (deployment: D, signal: AbortSignal) => Promise<T>,
  ) {
    this.#capable = capable;
    this.request = request;
    this.context = context;
    this.#start = start;
  }

  /** Those that can serve the request, as the configuration has them now. */
  all(): readonly D[] {
    const { route } = this.context;
    if (route !== this.#route) {
      this.#known = this.#capable(route);
      this.#route = route;
    }
    return this.#known;
  }

  /**
   * Those that have not been asked yet; once there was an attempt, without those that asked to be left alone. Where none is
   * left, the one that had no room, as soon as it has.
   */
  left(): readonly D[] {
    const capable = this.all();
    if (this.#tried.length === 0) return capable;
    const untried = this.#untried();
    const full = this.#full;
    return untried.length > 0 || full === undefined ? untried : capable.filter((one) => isSame(one, full));
  }

  /** There is nothing to try but to wait until one has room that had none: no more load than before. */
  get waitsForRoom(): boolean {
    return this.#full !== undefined && this.#untried().length === 0;
  }

  claim(readyOnly = false): Slot<D> | undefined {
    const { placement, route } = this.context;
    return placement.tryPlace(route, this.left(), this.request, readyOnly);
  }

  /** The caller awaits the reply, and then calls `answered` or `failed`. */
  run(slot: Slot<D>, kind: AttemptKind): Promise<T> {
    const delayMs = this.#hedgeAfterMs(slot.deployment);
    this.#isContested = delayMs !== undefined;
    if (delayMs !== undefined) return hedge(this.#launch(slot, kind), delayMs, () => this.#second());
    this.#begin(slot, kind);
    return this.#startAt(slot.deployment, this.context.signal);
  }

  answered(slot: Slot<D>, kind: AttemptKind): void {
    if (!this.#isContested) this.#win(slot, kind);
  }

  failed(slot: Slot<D>, kind: AttemptKind, thrown: unknown): AppError {
    if (this.#isContested) return AppError.from(thrown);
    const failure = endedBy(this.context.signal, thrown);
    this.#fail(slot, kind, failure);
    return failure;
  }

  #untried(): readonly D[] {
    const untried = this.all().filter((one) => !this.#tried.some((tried) => isSame(one, tried)));
    return this.context.placement.lanes.notCooling(untried);
  }

  #hedgeAfterMs(deployment: D): number | undefined {
    const { placement, route } = this.context;
    if (route.hedge !== true) return undefined;
    // Not those of a newer configuration, which might have none: the slot is taken already.
    const capable = this.#known;
    if (capable.length < 2) return undefined;
    const { stream, promptBytes } = this.request;
    const p95Ms = ({ backend, model }: D) =>
      placement.lanes.of(backend).timings(model).untilBegun(stream).p95Ms(promptBytes);
    // One that has been hanging for long has no figures of its own.
    return p95Ms(deployment) ?? capable.map(p95Ms).find((known) => known !== undefined);
  }

  #second(): Attempt<T> | undefined {
    const { placement, signal, model } = this.context;
    const { hedges } = model;
    if (signal.aborted) return undefined;
    let slot: Slot<D> | undefined;
    try {
      if (hedges.allows(placement.lanes.saturation(this.all()))) slot = this.claim(true);
    } catch (error) {
      // A configuration that has come in the meantime, with nobody for the request, does not end the attempt that runs.
      if (!(error instanceof AppError)) throw error;
    }
    if (slot === undefined) return undefined;
    hedges.spend();
    return this.#launch(slot, 'hedge');
  }

  /** An attempt that may have another one beside it. */
  #launch(slot: Slot<D>, kind: AttemptKind): Attempt<T> {
    const { settlement, signal } = this.context;
    this.#begin(slot, kind);
    const cancel = new AbortController();
    let lost = false;
    const lose = () => {
      if (lost) return;
      lost = true;
      cancel.abort();
      this.#countHedge(slot, kind, 'lost');
      settlement.attempt(slot.deployment, { kind, lost, code: undefined, durationMs: slot.ageMs });
      slot.lost();
      this.#judge(slot);
    };
    const answered = this.#startAt(slot.deployment, AbortSignal.any([signal, cancel.signal])).then(
      (reply) => {
        if (this.#answered) {
          lose();
          throw new AppError('client_closed');
        }
        this.#win(slot, kind);
        return reply;
      },
      (thrown: unknown) => {
        const failure = endedBy(signal, thrown);
        if (!lost) {
          lost = true;
          this.#fail(slot, kind, failure);
        }
        throw failure;
      },
    );
    return { answered, lose };
  }

  /** Where it throws at once, that is a failed attempt, too. */
  #startAt(deployment: D, signal: AbortSignal): Promise<T> {
    try {
      return this.#start(deployment, signal);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  #begin(slot: Slot<D>, kind: AttemptKind): void {
    if (kind === 'retry') slot.lane.retries += 1;
    this.#tried = this.#tried.length === 0 ? [slot.deployment] : [...this.#tried, slot.deployment];
  }

  #win(slot: Slot<D>, kind: AttemptKind): void {
    const context = this.context;
    this.#answered = true;
    this.#countHedge(slot, kind, 'won');
    const { ageMs } = slot;
    context.settlement.attempt(slot.deployment, { kind, lost: false, code: undefined, durationMs: ageMs });
    context.hold(slot);
    slot.answered(ageMs);
    this.#judge(slot);
  }

  #fail(slot: Slot<D>, kind: AttemptKind, failure: AppError): void {
    this.#countHedge(slot, kind, 'lost');
    const { code } = failure;
    this.context.settlement.attempt(slot.deployment, { kind, lost: false, code, durationMs: slot.ageMs });
    this.#full = slot.lane.hasRoomSoon(failure) ? slot.deployment : undefined;
    slot.failed(failure);
  }

  /** How it did, beside the others. */
  #judge(slot: Slot<D>): void {
    const { placement, route } = this.context;
    const { deployments } = route.model;
    if (deployments.length > 1) placement.lanes.judge(slot, deployments);
  }

  #countHedge(slot: Slot<D>, kind: AttemptKind, result: 'won' | 'lost'): void {
    if (kind !== 'hedge') return;
    this.context.model.hedges[result] += 1;
    slot.lane.hedges[result] += 1;
  }
}

/** A new configuration has new objects for what has not changed. */
function isSame(a: Deployment, b: Deployment): boolean {
  return a.backend === b.backend && a.model === b.model;
}
