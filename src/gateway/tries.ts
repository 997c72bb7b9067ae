import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { AttemptKind } from '../core/event.ts';
import type { AttemptOptions } from './attempts.ts';
import { endedBy } from './deadline.ts';
import type { Route } from './gateway.ts';
import { type Attempt, hedge } from './hedge.ts';
import type { Slot, SlotRequest } from './slot.ts';

/** The attempts of one request: which deployments are left, and which attempt was answered first. */
export class Tries<D extends Deployment, T> {
  readonly #capable: (route: Route) => readonly D[];
  readonly #request: SlotRequest;
  readonly #options: AttemptOptions;
  readonly #start: (deployment: D, signal: AbortSignal) => Promise<T>;
  readonly #tried: D[] = [];
  #answered = false;

  constructor(
    capable: (route: Route) => readonly D[],
    request: SlotRequest,
    options: AttemptOptions,
    start: (deployment: D, signal: AbortSignal) => Promise<T>,
  ) {
    this.#capable = capable;
    this.#request = request;
    this.#options = options;
    this.#start = start;
  }

  /** Those that were not asked yet. Nothing is retried at those that asked to be left alone. */
  left(): readonly D[] {
    const capable = this.#all();
    if (this.#tried.length === 0) return capable;
    const untried = capable.filter((one) => !this.#tried.some((tried) => isSame(one, tried)));
    return this.#options.placement.notCooling(untried);
  }

  claim(readyOnly = false): Slot<D> | undefined {
    const { placement, route } = this.#options;
    return placement.tryPlace(route(), this.left(), this.#request, readyOnly);
  }

  async run(
    slot: Slot<D>,
    kind: AttemptKind,
  ): Promise<{ readonly reply: T } | { readonly failure: AppError }> {
    try {
      return { reply: await this.#answer(slot, kind) };
    } catch (error) {
      return { failure: AppError.from(error) };
    }
  }

  async #answer(slot: Slot<D>, kind: AttemptKind): Promise<T> {
    const delayMs = this.#hedgeAfterMs(slot.deployment);
    if (delayMs === undefined) return await this.#launch(slot, kind, false).answered;
    return await hedge(this.#launch(slot, kind, true), delayMs, () => this.#second());
  }

  #hedgeAfterMs(deployment: D): number | undefined {
    const { placement, route } = this.#options;
    if (route().hedge !== true) return undefined;
    const capable = this.#all();
    if (capable.length < 2) return undefined;
    const { stream, promptBytes } = this.#request;
    const p95Ms = ({ backend, model }: D) =>
      placement.lane(backend).latency(model).begin(stream).p95Ms(promptBytes);
    // One that has hung for long has no figures of its own.
    return p95Ms(deployment) ?? capable.map(p95Ms).find((known) => known !== undefined);
  }

  #second(): Attempt<T> | undefined {
    const { placement, signal, route } = this.#options;
    const { hedges } = placement.model(route().model.name);
    if (signal.aborted || !hedges.allows(placement.saturation(this.#all()))) return undefined;
    const slot = this.claim(true);
    if (slot === undefined) return undefined;
    hedges.spend();
    return this.#launch(slot, 'hedge', true);
  }

  #launch(slot: Slot<D>, kind: AttemptKind, contested: boolean): Attempt<T> {
    const { placement, settlement, hold, route } = this.#options;
    const { hedges } = placement.model(route().model.name);
    const hedged = (result: 'won' | 'lost') => {
      if (kind !== 'hedge') return;
      hedges[result] += 1;
      slot.lane.hedges[result] += 1;
    };
    if (kind === 'retry') slot.lane.retries += 1;
    this.#tried.push(slot.deployment);
    const cancel = contested ? new AbortController() : undefined;
    const signal = cancel ? AbortSignal.any([this.#options.signal, cancel.signal]) : this.#options.signal;
    let lost = false;
    const lose = () => {
      if (lost) return;
      lost = true;
      cancel?.abort();
      hedged('lost');
      settlement.attempt(slot.deployment, { kind, lost, code: undefined, durationMs: slot.ageMs });
      slot.lost();
      placement.judge(route(), slot);
    };
    const answered = this.#start(slot.deployment, signal).then(
      (reply) => {
        if (this.#answered) {
          lose();
          throw new AppError('client_closed');
        }
        this.#answered = true;
        hedged('won');
        settlement.attempt(slot.deployment, { kind, lost, code: undefined, durationMs: slot.ageMs });
        slot.answered();
        hold(slot);
        placement.judge(route(), slot);
        return reply;
      },
      (thrown: unknown) => {
        const ended = this.#options.signal.aborted;
        const failure = ended ? endedBy(this.#options.signal, thrown) : AppError.from(thrown);
        if (!lost) {
          lost = true;
          hedged('lost');
          settlement.attempt(slot.deployment, {
            kind,
            lost: false,
            code: failure.code,
            durationMs: slot.ageMs,
          });
          slot.failed(failure);
        }
        throw failure;
      },
    );
    return { answered, lose };
  }

  #all(): readonly D[] {
    return this.#capable(this.#options.route());
  }
}

/** A new configuration has new objects for what has not changed. */
function isSame(a: Deployment, b: Deployment): boolean {
  return a.backend === b.backend && a.model === b.model;
}
