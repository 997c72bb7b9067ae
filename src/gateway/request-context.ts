import { type Media, NO_MEDIA } from '../../routers/request.ts';
import type { Relay } from '../core/backend.ts';
import type { Caller } from '../core/caller.ts';
import type { RequestDemands } from '../core/demands.ts';
import type { AppError } from '../core/error.ts';
import type { Emit, RequestSettled } from '../core/event.ts';
import type { Judgement } from '../difficulty/classifier.ts';
import { demandsOf, routeFor } from './caller-rules.ts';
import type { SlowClient } from './placement/lent-places.ts';
import type { ModelState } from './placement/model-state.ts';
import type { Placement } from './placement/placement.ts';
import type { Route } from './placement/route.ts';
import type { Slot } from './placement/slot.ts';
import type { Reservation } from './request/admission.ts';
import { type Deadline, endedBy, withDeadline } from './request/deadline.ts';
import { newDecisionId } from './request/decision-id.ts';
import type { PrivacyRule } from './request/privacy-rule.ts';
import { type SettledRequest, Settlement } from './settlement.ts';

/** Who gets the reply, at its own pace. */
export interface Client extends SlowClient {
  /** Called when what the request cost has been told, and its place is still taken. */
  settled?(): void;
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
  /** Gets the reply. */
  readonly client?: Client;
  /** Called once the request is admitted, before anything is sent. */
  readonly onAdmitted?: (reservation: Reservation) => void;
}

/** What the configuration says of requests. */
export interface RequestOptions {
  readonly routes: ReadonlyMap<string, Route>;
  /** Attempts after the first, all before anything was delivered. */
  readonly maxRetries: number;
  /** For requests that bring no time limit of their own. Undefined: none. */
  readonly timeoutMs?: number | undefined;
  /** Looks for what must not go everywhere. */
  readonly privacy?: PrivacyRule | undefined;
}

/** Where requests run. */
export interface RequestHost {
  readonly placement: Placement;
  readonly emit: Emit;
  readonly now: () => number;
  /** As they are now. */
  readonly options: RequestOptions;
}

/** One request on its way: what its attempts have to know, and all that has to be given back when it is over. */
export class RequestContext {
  readonly settlement: Settlement;
  readonly placement: Placement;
  readonly maxRetries: number;
  readonly privacy: PrivacyRule | undefined;
  /** Undefined: nobody needs a key. */
  readonly caller: Caller | undefined;
  readonly demands: RequestDemands;
  /** Aborted when the client has left … */
  readonly clientSignal: AbortSignal;
  /** … or its time is over. */
  readonly signal: AbortSignal;
  /** On the gateway's monotonic clock. */
  readonly deadlineAtMs: number | undefined;
  /** Of the request's difficulty, where that was worth waiting for. */
  judgement: Judgement | undefined;
  readonly #host: RequestHost;
  readonly #request: SettledRequest;
  readonly #name: string;
  readonly #terms: RequestTerms;
  readonly #deadline: Deadline | undefined;
  #routes: RequestOptions['routes'];
  #route: Route | undefined;
  #model: ModelState | undefined;
  #reservation: Reservation | undefined;
  /** In the backend that has answered. */
  #slot: Slot | undefined;
  #settled: RequestSettled | undefined;

  /** @param name Of the model. */
  constructor(
    host: RequestHost,
    request: SettledRequest,
    name: string,
    client: AbortSignal,
    terms: RequestTerms,
  ) {
    const { placement, now, options } = host;
    const { caller, decisionId = newDecisionId(), timeoutMs = options.timeoutMs } = terms;
    this.settlement = new Settlement(decisionId, request, caller, now);
    this.placement = placement;
    this.maxRetries = options.maxRetries;
    this.privacy = options.privacy;
    this.caller = caller;
    this.demands = demandsOf(caller, terms.demands);
    this.clientSignal = client;
    this.#deadline = timeoutMs === undefined ? undefined : withDeadline(client, timeoutMs);
    this.signal = this.#deadline?.signal ?? client;
    this.deadlineAtMs = timeoutMs === undefined ? undefined : now() + timeoutMs;
    this.#host = host;
    this.#request = request;
    this.#name = name;
    this.#terms = terms;
    this.#routes = options.routes;
  }

  /** @throws AppError `model_not_found` */
  enter(): void {
    const route = routeFor(this.#routes, this.#name, this.caller);
    // The configuration's own string, which others that look it up share.
    const { name } = route.model;
    this.#route = route;
    this.#model = this.placement.model(name);
    this.#model.begin();
    this.settlement.model = name;
  }

  /** The model's, as the configuration has it now; if it has the model no longer, as it was. */
  get route(): Route {
    const { routes } = this.#host.options;
    if (routes !== this.#routes) {
      this.#routes = routes;
      this.#route = routes.get(this.#name) ?? this.#route;
    }
    return this.#route!;
  }

  get model(): ModelState {
    return this.#model!;
  }

  /** What it has of pictures and sound. */
  get media(): Media {
    return this.#request.media ?? NO_MEDIA;
  }

  /** @param reservation What was set aside for it, if anything is ever counted. */
  admitted(caller: Caller, reservation: Reservation | undefined): void {
    this.#reservation = reservation;
    if (reservation !== undefined) this.#terms.onAdmitted?.(reservation);
    const { settlement } = this;
    const { id: requestId, endpoint } = this.#request;
    this.#host.emit({
      type: 'request-admitted',
      settlementId: settlement.id,
      serial: settlement.serial,
      requestId,
      caller,
      endpoint,
      model: this.model.name,
      soFar: () => settlement.attempts(),
    });
  }

  /** Takes over the place of the attempt that was answered. */
  hold(slot: Slot): void {
    // The attempt is one that nobody waits for any more.
    if (this.#settled !== undefined) slot.release(this.#settled, false);
    else this.#slot = slot;
  }

  /** Its reply passes by, as fast as the client takes it. */
  follow(reply: Relay): void {
    const slot = this.#slot;
    this.settlement.observation = reply.observation;
    reply.pauses = slot;
    if (slot !== undefined) slot.client = this.#terms.client;
  }

  /** Its reply has begun. */
  begun(): void {
    if (this.caller === undefined || !this.#request.stream) return;
    this.#host.emit({ type: 'request-begun', serial: this.settlement.serial });
  }

  failed(error: unknown): AppError {
    return this.settlement.fail(endedBy(this.signal, error));
  }

  /** It is over, in whichever way. To be called once. */
  settle(): void {
    const slot = this.#slot;
    const heldUp = slot?.wasHeldUp === true;
    this.#deadline?.clear();
    this.#model?.end();
    const settled = this.settlement.settle(heldUp);
    this.#settled = settled;
    const { promptTokens, completionTokens } = settled.usage;
    try {
      this.#reservation?.settle({ tokens: promptTokens + completionTokens, nanoUsd: settled.costNanoUsd });
      this.#host.emit(settled);
      this.#terms.client?.settled?.();
    } finally {
      // Last, since it may make room for others.
      slot?.release(settled, heldUp);
    }
  }
}
