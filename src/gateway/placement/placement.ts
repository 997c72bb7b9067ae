import type { Candidate } from '../../../routers/candidate.ts';
import { isForbidden } from '../../../routers/constraints.ts';
import { goodEnoughFirst } from '../../../routers/good-enough.ts';
import { predicted } from '../../../routers/predicted.ts';
import type { RoutingKnowledge } from '../../../routers/routing-knowledge.ts';
import type { Choice } from '../../core/decision.ts';
import type { Deployment } from '../../core/deployment.ts';
import { AppError } from '../../core/error.ts';
import type { CanaryRolledBack, Emit } from '../../core/event.ts';
import type { GatewayReport } from '../../core/report.ts';
import { Line, type Wish } from '../line/line.ts';
import { tenantOf } from '../request/tenant.ts';
import { Canaries } from '../trials/canaries.ts';
import { Lanes } from './lanes.ts';
import { ModelState, type QueueBounds } from './model-state.ts';
import type { Route } from './route.ts';
import { passedOverOf, type RoutedCandidate, routedCandidate, unranked } from './routed-candidate.ts';
import { Slot, type SlotRequest } from './slot.ts';

export interface PlacementOptions {
  readonly queue: QueueBounds;
  readonly now: () => number;
  readonly random: () => number;
  /** What the policies learn of deployments. */
  readonly knowledge: RoutingKnowledge;
  readonly emit: Emit;
}

/** In place of a policy's name. */
const NO_CHOICE = 'only-one';
const NOBODY: Choice['passedOver'] = [];

/**
 * Gives requests a place in a backend, or has them wait for one:
 *
 *   ready ones with room ─▶ the policy's first
 *   ready ones, no room ──▶ the model's queue, until one has room
 *   none ready ───────────▶ one that works, if slowly; or else any: trying one beats refusing
 *
 * What it knows is kept by backend and by the model's name, so that both may come and go.
 */
export class Placement {
  readonly lanes: Lanes;
  #options: PlacementOptions;
  readonly #models = new Map<string, ModelState>();
  readonly #lines = new WeakMap<ModelState, Line>();

  constructor(options: PlacementOptions) {
    this.#options = options;
    this.lanes = new Lanes(options.now, options.random);
  }

  configure(queue: QueueBounds): void {
    this.#options = { ...this.#options, queue };
    for (const model of this.#models.values()) model.queue.resize(queue);
  }

  model(name: string): ModelState {
    let state = this.#models.get(name);
    if (state === undefined) {
      const { queue, emit, now } = this.#options;
      state = new ModelState(name, queue, new Canaries(name, emit), now);
      this.#models.set(name, state);
    }
    return state;
  }

  /** A place; or, where there is none yet, a promise of one (see `Line.stand`). */
  place<D extends Deployment>(
    model: ModelState,
    wish: Wish<Slot<D>> & { readonly request: SlotRequest; readonly deployments: readonly D[] },
  ): Slot<D> | Promise<Slot<D>> {
    const { deployments, request, claim } = wish;
    const slot = this.placeNow(model, request, claim);
    if (slot !== undefined) return slot;
    for (const { backend } of deployments) this.lanes.of(backend).asked(tenantOf(request.caller));
    const { capacity } = this.#options.queue;
    return this.#line(model).stand(wish, { capacity, answerMs: this.#answerMs(deployments, request) });
  }

  /** A place, where nobody has to wait for one. */
  placeNow<D extends Deployment>(
    { queue }: ModelState,
    { caller }: SlotRequest,
    claim: () => Slot<D> | undefined,
  ): Slot<D> | undefined {
    return queue.length === 0 || queue.mayPass(tenantOf(caller)) ? claim() : undefined;
  }

  #line(model: ModelState): Line {
    let line = this.#lines.get(model);
    if (line === undefined) {
      line = new Line(model.queue, this.#options.now);
      this.#lines.set(model, line);
    }
    return line;
  }

  /** How long until something of the reply is there, at the first of them of which that is known. */
  #answerMs(deployments: readonly Deployment[], { stream, promptBytes }: SlotRequest): number | undefined {
    for (const { backend, model } of deployments) {
      const known = this.lanes.of(backend).timings(model).untilBegun(stream).predictMs(promptBytes);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  /** A place at one of the deployments, if one has room. */
  tryPlace<D extends Deployment>(
    route: Route,
    deployments: readonly D[],
    request: SlotRequest,
    readyOnly = false,
  ): Slot<D> | undefined {
    const { now, random, knowledge } = this.#options;
    // A second attempt is no reason to keep somebody else waiting for a first one.
    if (readyOnly && this.#anyWaits()) return undefined;
    const tenant = tenantOf(request.caller);
    const { canaries, queue } = this.model(route.model.name);
    const hasLine = queue.counters.hasLine(tenant);
    const allowed = deployments.map((deployment) =>
      routedCandidate(deployment, this.lanes.of(deployment.backend), tenant, hasLine),
    );
    // Only a request that would otherwise fail may leave its side.
    const all = canaries.onSide(allowed, request.drawn, !readyOnly);
    const free = all.every(isUsable) ? all : usableOf(all, readyOnly);
    const choice = free.length > 0 && route.model.deployments.length > 1;
    const { features } = request;
    const nowMs = now();
    const ranked = choice
      ? predicted(
          goodEnoughFirst(route.policy, { request: features, candidates: free, nowMs, random }),
          knowledge,
          features,
          nowMs,
        )
      : free.map(unranked);
    const best = ranked[0]?.candidate;
    if (best === undefined) {
      const ready = all.filter((candidate) => candidate.ready);
      queue.room = roomOf(ready);
      queue.opens = deployments.some(({ backend }) => this.lanes.of(backend).opens);
      // One is enough; and nobody has to go for the sake of a second attempt.
      if (!readyOnly) ready.some(({ lane }) => lane.reclaim());
      return undefined;
    }
    const passedOver = free.length === deployments.length ? NOBODY : passedOverOf(allowed, free);
    request.trace.chose({ policy: choice ? route.policy.name : NO_CHOICE, atMs: nowMs, ranked, passedOver });
    return this.#slot(best, route, request, nowMs);
  }

  /** Where a request falls among the model's deployments on trial, and all its attempts with it. */
  draw({ model: { name, deployments } }: Route, sessionKey: string | undefined): number {
    const { canaries } = this.model(name);
    canaries.follow(deployments);
    return canaries.draw(sessionKey, this.#options.random);
  }

  /** Puts deployments on trial again. @returns Whether there is such a canary. */
  resumeCanary(id: string): boolean {
    const resumed = [...this.#models.values()].map(({ canaries }) => canaries.resume(id));
    return resumed.includes(true);
  }

  /** Another process of this gateway has found one to do worse than the others. */
  rollBackCanary({ model, ...found }: CanaryRolledBack): void {
    this.model(model).canaries.rolledBackElsewhere(found);
  }

  /** How long a tenant's replies have been of late. */
  usualOutputTokens(tenant: string | undefined): number {
    return this.#options.knowledge.outputs.expect(tenant, undefined);
  }

  report(routes: Iterable<Route>): GatewayReport {
    const known = [...routes];
    const backends = new Set(known.flatMap(({ model }) => model.deployments.map(({ backend }) => backend)));
    const canaries = known.flatMap(({ model }) => {
      const { canaries } = this.model(model.name);
      canaries.follow(model.deployments);
      return canaries.report();
    });
    return {
      canaries,
      backends: [...backends].map((backend) => this.lanes.of(backend).report()),
      models: known.map(({ model }) => this.model(model.name).report()),
    };
  }

  #anyWaits(): boolean {
    for (const { queue } of this.#models.values()) if (queue.length > 0) return true;
    return false;
  }

  #slot<D extends Deployment>(
    { deployment, lane }: RoutedCandidate<D>,
    { model: { name }, policy }: Route,
    request: SlotRequest,
    nowMs: number,
  ): Slot<D> {
    // Nobody should come here with one that is not allowed; if ever somebody does, the request fails and its text
    // stays here.
    if (isForbidden(deployment, request.features.constraints)) throw new AppError('internal_error');
    const { now, knowledge } = this.#options;
    const { promptTokens, maxOutputTokens, tenant } = request.features;
    const output = maxOutputTokens === 0 ? 0 : knowledge.outputs.expect(tenant, maxOutputTokens);
    return new Slot({
      deployment,
      lane,
      model: this.model(name),
      expected: { prompt: promptTokens, output },
      dispatch: knowledge.dispatch(deployment.id, request.features, nowMs, policy),
      request,
      now,
      onFree: this.#pump,
    });
  }

  /** There is one more place. */
  readonly #pump = (): void => {
    if (!this.#anyWaits()) return;
    for (const model of [...this.#models.values()]) {
      if (model.queue.length === 0 || !model.queue.pump()) continue;
      // Models that share a backend take turns.
      this.#models.delete(model.name);
      this.#models.set(model.name, model);
    }
  };
}

function isUsable({ ready, free }: RoutedCandidate<Deployment>): boolean {
  return ready && free;
}

function hasRoom({ free }: RoutedCandidate<Deployment>): boolean {
  return free;
}

/** Those that have room among the ready ones; where none is ready, and there need not be, among those that work, or all. */
function usableOf<D extends Deployment>(
  all: readonly RoutedCandidate<D>[],
  readyOnly: boolean,
): readonly RoutedCandidate<D>[] {
  const ready = all.filter((candidate) => candidate.ready);
  if (ready.length > 0 || readyOnly) return ready.filter(hasRoom);
  const working = all.filter(({ lane }) => lane.works);
  return (working.length > 0 ? working : all).filter(hasRoom);
}

/** What the limits of all of them leave; below 0: how many are too many. */
function roomOf(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { capacity, inFlight }) => sum + (capacity ?? inFlight) - inFlight, 0);
}
