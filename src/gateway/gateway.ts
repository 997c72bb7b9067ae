import { Fleet as RoutingKnowledge } from '../../routers/fleet.ts';
import type { Relay } from '../core/backend.ts';
import type { Caller } from '../core/caller.ts';
import type { Decision } from '../core/decision.ts';
import type { RequestDemands } from '../core/demands.ts';
import type { PublicModel } from '../core/deployment.ts';
import type { EncodeRequest, EncodeResult } from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import type { CanaryRolledBack, Emit, RequestSettled } from '../core/event.ts';
import type { PartSource } from '../core/part-source.ts';
import type { GatewayReport } from '../core/report.ts';
import type { GenerateRequest } from '../core/request.ts';
import { turnTimeMs } from '../core/turn-clock.ts';
import type { Admission, Reservation } from './admission.ts';
import { type AskedSize, askFor, sizeOf } from './ask.ts';
import type { AttemptOptions } from './attempts.ts';
import { begin } from './begin.ts';
import { demandsOf, mayUse, routeFor } from './caller-rules.ts';
import { endedBy, withDeadline } from './deadline.ts';
import { newDecisionId } from './decision-id.ts';
import { encode } from './encode.ts';
import type { SlowClient } from './lent-places.ts';
import { mediaOf } from './media.ts';
import type { ModelState, QueueBounds } from './model-state.ts';
import { observeParts } from './observe-parts.ts';
import { Placement } from './placement.ts';
import type { PrivacyRule } from './privacy-rule.ts';
import type { Route } from './route.ts';
import { type SettledRequest, Settlement } from './settlement.ts';
import { Shadows } from './shadow.ts';
import type { Slot } from './slot.ts';
import { readingBounds, usageBounds } from './usage-bounds.ts';

/** A reply that has begun: typed parts, or bytes in the client's own dialect. */
export type Reply =
  | { readonly kind: 'parts'; readonly parts: PartSource }
  | { readonly kind: 'relay'; readonly relay: Relay };

/** What was made of texts, or a remote server's answer in the client's own dialect. */
export type EncodeReply =
  | { readonly kind: 'result'; readonly result: EncodeResult }
  | { readonly kind: 'relay'; readonly relay: Relay };

export interface GatewayOptions {
  readonly routes: ReadonlyMap<string, Route>;
  readonly emit: Emit;
  /** Attempts after the first, all before anything was delivered. */
  readonly maxRetries: number;
  readonly queue?: QueueBounds;
  /** For requests that bring no time limit of their own. Undefined: none. */
  readonly timeoutMs?: number | undefined;
  /** Monotonic milliseconds. Default: those of the turn of the event loop. */
  readonly now?: () => number;
  readonly random?: () => number;
  /** What the routes' policies learn about deployments; must be the one that they were made with. */
  readonly knowledge?: RoutingKnowledge;
  /** Looks for what must not go everywhere. */
  readonly privacy?: PrivacyRule | undefined;
  /** Asked for every request with a caller. Undefined: everybody is admitted. */
  readonly admission?: Admission | undefined;
  /** Set aside for a request that does not say how much it wants written. */
  readonly assumedOutputTokens?: number;
}

/** What one request brings along beside its body. */
export interface RequestTerms {
  /** Replaces the configured one. */
  readonly timeoutMs?: number | undefined;
  readonly demands?: RequestDemands;
  /** Names the decision about the request, for operators. Default: a new one. */
  readonly decisionId?: string;
  /** Who asks; undefined: nobody needs a key. */
  readonly caller?: Caller | undefined;
  /** Gets the reply, where that may take its time. */
  readonly client?: SlowClient;
  /** Called once the request is admitted, before anything is sent. */
  readonly onAdmitted?: (reservation: Reservation) => void;
}

const DEFAULT_QUEUE: QueueBounds = { capacity: 256, maxWaitMs: 10_000 };
const DEFAULT_OUTPUT_TOKENS = 1_024;

/** The life of one request: admit → route → run → deliver → settle. Everything that may end a request passes through settle. */
export class Gateway {
  #options: GatewayOptions & Required<Pick<GatewayOptions, 'now'>>;
  readonly #placement: Placement;
  readonly #shadows: Shadows;
  #inFlight = 0;

  constructor(options: GatewayOptions) {
    const { now = turnTimeMs, random = Math.random, queue = DEFAULT_QUEUE } = options;
    const { knowledge = new RoutingKnowledge() } = options;
    this.#options = { ...options, now };
    this.#placement = new Placement({ queue, now, random, knowledge, emit: options.emit });
    this.#shadows = new Shadows(options.emit, random);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Replies that run go on; requests that wait, or are tried again, go by the new routes. */
  configure(
    changes: Partial<
      Pick<
        GatewayOptions,
        'routes' | 'maxRetries' | 'queue' | 'timeoutMs' | 'privacy' | 'assumedOutputTokens'
      >
    >,
  ): void {
    this.#options = { ...this.#options, ...changes };
    if (changes.queue) this.#placement.configure(changes.queue);
  }

  /** For operators: backends and models as they are now. */
  report(): GatewayReport {
    return this.#placement.report(this.#options.routes.values());
  }

  /** Ends the copies of requests that run, and makes no more. */
  stopShadows(): void {
    this.#shadows.stop();
  }

  /** Puts a deployment that was rolled back on trial again. @returns Whether there is one of that id on trial. */
  resumeCanary(id: string): boolean {
    return this.#placement.resumeCanary(id);
  }

  /** Takes over what another process of this gateway has found of a deployment on trial. */
  rollBackCanary(found: CanaryRolledBack): void {
    this.#placement.rollBackCanary(found);
  }

  /** Those that the caller may use. */
  models(caller?: Caller): readonly PublicModel[] {
    const all = [...this.#options.routes.values()].map((route) => route.model);
    return caller?.models === undefined ? all : all.filter(({ name }) => mayUse(caller, name));
  }

  /** @throws AppError `model_not_found` */
  model(name: string, caller?: Caller): PublicModel {
    return routeFor(this.#options.routes, name, caller).model;
  }

  /** Somebody here has to read the prompts of requests for this model, and not only their bytes. */
  readsPrompts(name: string): boolean {
    const { routes, privacy } = this.#options;
    const { model, tiers } = routes.get(name) ?? {};
    const deployments = model?.deployments ?? [];
    return (
      privacy !== undefined ||
      tiers !== undefined ||
      !deployments.every(({ backend }) => takesUnread(backend))
    );
  }

  /**
   * Runs one request. `deliver` gets the reply once it has begun and resolves when the client has it all; what it
   * throws ends the request. Whatever this method throws is an AppError that the client has yet to be told.
   */
  handle(
    request: GenerateRequest,
    signal: AbortSignal,
    deliver: (reply: Reply, decision: Decision | undefined) => Promise<void> | void,
    terms: RequestTerms = {},
  ): Promise<void> {
    const media = mediaOf(request);
    const { id, endpoint, stream } = request;
    const bounds = usageBounds(request, media);
    return this.#settled(
      { id, endpoint, stream, media, bounds, onlyReads: request.stop.maxTokens === 0 },
      request.model,
      () => sizeOf(request, media),
      signal,
      terms,
      (options) => begin(request, options, this.#shadows),
      (reply, settlement) =>
        deliver(
          isRelay(reply)
            ? { kind: 'relay', relay: reply }
            : { kind: 'parts', parts: observeParts(reply, settlement) },
          settlement.decision,
        ),
    );
  }

  /** The same for a request that wants texts read, not continued. */
  encode(
    request: EncodeRequest,
    signal: AbortSignal,
    deliver: (reply: EncodeReply) => Promise<void> | void,
    terms: RequestTerms = {},
  ): Promise<void> {
    const { id, endpoint, wire } = request;
    const bounds = readingBounds(wire.body.length);
    return this.#settled(
      { id, endpoint, stream: false, onlyReads: true, bounds },
      request.model,
      () => ({ promptBytes: wire.body.length, outputTokens: 0 }),
      signal,
      terms,
      (options) => encode(request, options),
      (reply) =>
        deliver(isRelay(reply) ? { kind: 'relay', relay: reply } : { kind: 'result', result: reply }),
    );
  }

  /** @param start Resolves when the reply has begun. */
  async #settled<R extends object>(
    request: SettledRequest,
    name: string,
    size: () => AskedSize,
    client: AbortSignal,
    terms: RequestTerms,
    start: (options: AttemptOptions) => Promise<Relay | R>,
    deliver: (reply: Relay | R, settlement: Settlement) => Promise<void> | void,
  ): Promise<void> {
    const { emit, now, maxRetries, privacy, routes } = this.#options;
    const { caller, decisionId = newDecisionId(), timeoutMs = this.#options.timeoutMs } = terms;
    const settlement = new Settlement(decisionId, request, caller, now);
    const placement = this.#placement;
    const deadline = timeoutMs === undefined ? undefined : withDeadline(client, timeoutMs);
    const signal = deadline?.signal ?? client;
    const deadlineAtMs = timeoutMs === undefined ? undefined : now() + timeoutMs;
    let slot: Slot | undefined;
    let model: ModelState | undefined;
    let reservation: Reservation | undefined;
    let settled: RequestSettled | undefined;
    const hold = (held: Slot) => {
      // The attempt is one that nobody waits for any more.
      if (settled !== undefined) held.release(settled, false);
      else slot = held;
    };
    this.#inFlight++;
    try {
      const known = routeFor(routes, name, caller);
      // As long as the configuration is the same, there is no need to look it up again.
      const route = () =>
        this.#options.routes === routes ? known : (this.#options.routes.get(name) ?? known);
      // The configuration's own string, which others that look it up share.
      const { name: modelName } = known.model;
      settlement.model = modelName;
      model = placement.model(modelName);
      model.begin();
      if (caller !== undefined) {
        const admitted = this.#admit(caller, known, size(), model);
        // Awaited only where counters lie elsewhere: nothing may come between a decision and what it sets aside.
        reservation = admitted instanceof Promise ? await admitted : admitted;
        if (reservation !== undefined) terms.onAdmitted?.(reservation);
        const { id: requestId, endpoint } = request;
        const soFar = () => settlement.attempts();
        emit({
          type: 'request-admitted',
          settlementId: decisionId,
          requestId,
          caller,
          endpoint,
          model: modelName,
          soFar,
        });
      }
      const demands = demandsOf(caller, terms.demands);
      const reply = await start({
        route,
        signal,
        settlement,
        placement,
        maxRetries,
        decisionId,
        demands,
        privacy,
        caller,
        deadlineAtMs,
        hold,
      });
      if (isRelay(reply)) {
        settlement.observation = reply.observation;
        reply.pauses = slot;
        if (slot !== undefined) slot.client = terms.client;
      }
      const delivered = deliver(reply, settlement);
      if (delivered instanceof Promise) await delivered;
      client.throwIfAborted();
    } catch (error) {
      throw settlement.fail(signal.aborted ? endedBy(signal, error) : AppError.from(error));
    } finally {
      deadline?.clear();
      this.#inFlight--;
      model?.end();
      const heldUp = slot?.wasHeldUp === true;
      const event = settlement.settle(heldUp);
      settled = event;
      const { promptTokens, completionTokens } = event.usage;
      try {
        reservation?.settle({ tokens: promptTokens + completionTokens, nanoUsd: event.costNanoUsd });
        emit(event);
      } finally {
        // Last, since it may make room for others.
        slot?.release(event, heldUp);
      }
    }
  }

  #admit(caller: Caller, route: Route, size: AskedSize, { bytesPerToken, replies }: ModelState) {
    const { admission, assumedOutputTokens = DEFAULT_OUTPUT_TOKENS } = this.#options;
    return admission?.admit(askFor(caller, route, size, { bytesPerToken, assumedOutputTokens, replies }));
  }
}

function isRelay(reply: object): reply is Relay {
  return 'observation' in reply;
}

function takesUnread(backend: PublicModel['deployments'][number]['backend']): boolean {
  return backend.kind !== 'encoder' && backend.takesUnread === true;
}
