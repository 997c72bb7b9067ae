import { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import type { Relay } from '../core/backend.ts';
import type { Caller } from '../core/caller.ts';
import type { Decision } from '../core/decision.ts';
import type { Deployment, PublicModel } from '../core/deployment.ts';
import type { EncodeRequest, EncodeResult } from '../core/encoder.ts';
import type { CanaryRolledBack, Emit } from '../core/event.ts';
import type { PartSource } from '../core/part-source.ts';
import type { GatewayReport } from '../core/report.ts';
import type { GenerateRequest } from '../core/request.ts';
import { turnTimeMs } from '../core/turn-clock.ts';
import { type AskedSize, askFor, sizeOf } from './ask.ts';
import { mayUse, routeFor } from './caller-rules.ts';
import { encode } from './encode.ts';
import { generate } from './generate.ts';
import { observeParts } from './observe-parts.ts';
import type { QueueBounds } from './placement/model-state.ts';
import { Placement } from './placement/placement.ts';
import type { Admission } from './request/admission.ts';
import { mediaOf } from './request/media.ts';
import { readingBounds, usageBounds } from './request/usage-bounds.ts';
import {
  RequestContext,
  type RequestHost,
  type RequestOptions,
  type RequestTerms,
} from './request-context.ts';
import type { Settlement } from './settlement.ts';
import { Shadows } from './trials/shadow.ts';

/** A reply that has begun: typed parts, or bytes in the client's own dialect. */
export type Reply =
  | { readonly kind: 'parts'; readonly parts: PartSource }
  | { readonly kind: 'relay'; readonly relay: Relay };

/** What was made of texts, or a remote server's answer in the client's own dialect. */
export type EncodeReply =
  | { readonly kind: 'result'; readonly result: EncodeResult }
  | { readonly kind: 'relay'; readonly relay: Relay };

export interface GatewayOptions extends RequestOptions {
  readonly emit: Emit;
  readonly queue?: QueueBounds;
  /** Monotonic milliseconds. Default: those of the turn of the event loop. */
  readonly now?: () => number;
  readonly random?: () => number;
  /** What the routes' policies learn about deployments; must be the one that they were made with. */
  readonly knowledge?: RoutingKnowledge;
  /** Asked for every request with a caller. Undefined: everybody is admitted. */
  readonly admission?: Admission | undefined;
  /** Set aside for a request that does not say how much it wants written. */
  readonly assumedOutputTokens?: number;
}

const DEFAULT_QUEUE: QueueBounds = { capacity: 256, maxWaitMs: 10_000 };
const DEFAULT_OUTPUT_TOKENS = 1_024;

/** The life of one request: admit → route → run → deliver → settle. Everything that may end a request passes through settle. */
export class Gateway {
  readonly #host: RequestHost & { options: GatewayOptions };
  readonly #shadows: Shadows;
  #inFlight = 0;

  constructor(options: GatewayOptions) {
    const { emit, now = turnTimeMs, random = Math.random, queue = DEFAULT_QUEUE } = options;
    const { knowledge = new RoutingKnowledge() } = options;
    const placement = new Placement({ queue, now, random, knowledge, emit });
    this.#host = { placement, emit, now, options };
    this.#shadows = new Shadows(emit, random);
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
    this.#host.options = { ...this.#host.options, ...changes };
    if (changes.queue) this.#host.placement.configure(changes.queue);
  }

  /** For operators: backends and models as they are now. */
  report(): GatewayReport {
    return this.#host.placement.report(this.#host.options.routes.values());
  }

  /** Ends the copies of requests that run, and makes no more. */
  stopShadows(): void {
    this.#shadows.stop();
  }

  /** Puts a deployment that was rolled back on trial again. @returns Whether there is one of that id on trial. */
  resumeCanary(id: string): boolean {
    return this.#host.placement.resumeCanary(id);
  }

  /** Takes over what another process of this gateway has found of a deployment on trial. */
  rollBackCanary(found: CanaryRolledBack): void {
    this.#host.placement.rollBackCanary(found);
  }

  /** Those that the caller may use. */
  models(caller?: Caller): readonly PublicModel[] {
    const all = [...this.#host.options.routes.values()].map((route) => route.model);
    return caller?.models === undefined ? all : all.filter(({ name }) => mayUse(caller, name));
  }

  /** @throws AppError `model_not_found` */
  model(name: string, caller?: Caller): PublicModel {
    return routeFor(this.#host.options.routes, name, caller).model;
  }

  /** Somebody here has to read the prompts of requests for this model, and not only their bytes. */
  readsPrompts(name: string): boolean {
    const { routes, privacy } = this.#host.options;
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
    const asked = { id, endpoint, stream, media, bounds, onlyReads: request.stop.maxTokens === 0 };
    return this.#serve(
      new RequestContext(this.#host, asked, request.model, signal, terms),
      () => sizeOf(request, media),
      (context) => generate(request, context, this.#shadows),
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
    const asked = { id, endpoint, stream: false, onlyReads: true, bounds };
    return this.#serve(
      new RequestContext(this.#host, asked, request.model, signal, terms),
      () => ({ promptBytes: wire.body.length, outputTokens: 0 }),
      (context) => encode(request, context),
      (reply) =>
        deliver(isRelay(reply) ? { kind: 'relay', relay: reply } : { kind: 'result', result: reply }),
    );
  }

  /** @param start Resolves when the reply has begun. */
  async #serve<R extends object>(
    context: RequestContext,
    size: () => AskedSize,
    start: (context: RequestContext) => Promise<Relay | R>,
    deliver: (reply: Relay | R, settlement: Settlement) => Promise<void> | void,
  ): Promise<void> {
    this.#inFlight += 1;
    try {
      context.enter();
      const { caller } = context;
      if (caller !== undefined) {
        const admitted = this.#admit(caller, size(), context);
        // Awaited only where counters lie elsewhere: nothing may come between a decision and what it sets aside.
        context.admitted(caller, admitted instanceof Promise ? await admitted : admitted);
      }
      const reply = await start(context);
      if (isRelay(reply)) context.follow(reply);
      context.begun();
      const delivered = deliver(reply, context.settlement);
      if (delivered instanceof Promise) await delivered;
      context.clientSignal.throwIfAborted();
    } catch (error) {
      throw context.failed(error);
    } finally {
      this.#inFlight -= 1;
      context.settle();
    }
  }

  #admit(caller: Caller, size: AskedSize, { route, model }: RequestContext) {
    const { admission, assumedOutputTokens = DEFAULT_OUTPUT_TOKENS } = this.#host.options;
    const { bytesPerToken, replies } = model;
    return admission?.admit(askFor(caller, route, size, { bytesPerToken, assumedOutputTokens, replies }));
  }
}

function isRelay(reply: object): reply is Relay {
  return 'observation' in reply;
}

function takesUnread(backend: Deployment['backend']): boolean {
  return backend.kind !== 'encoder' && backend.takesUnread === true;
}
