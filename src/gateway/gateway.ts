import type { Policy } from '../../routers/policy.ts';
import type { Relay } from '../core/backend.ts';
import type { PublicModel } from '../core/deployment.ts';
import type { EncodeRequest } from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import type { Emit } from '../core/event.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest } from '../core/request.ts';
import { type BeginOptions, begin } from './begin.ts';
import { type EncodeReply, encode } from './encode.ts';
import { observeParts } from './observe-parts.ts';
import { type SettledRequest, Settlement } from './settlement.ts';

/** A model and the policy that spreads its requests. */
export interface Route {
  readonly model: PublicModel;
  readonly policy: Policy;
}

/** A reply that has begun: typed parts, or bytes in the client's own dialect. */
export type Reply =
  | { readonly kind: 'parts'; readonly parts: AsyncIterable<Part> }
  | { readonly kind: 'relay'; readonly relay: Relay };

export interface GatewayOptions {
  readonly routes: ReadonlyMap<string, Route>;
  readonly emit: Emit;
  /** Attempts after the first, all before anything was delivered. */
  readonly maxRetries: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** The life of one request: route → run → deliver → settle. Everything that may end a request passes through settle. */
export class Gateway {
  #options: Required<GatewayOptions>;
  #inFlight = 0;

  constructor(options: GatewayOptions) {
    this.#options = { now: () => performance.now(), random: Math.random, ...options };
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** From the next request on; running ones keep what they began with. */
  configure(changes: Partial<Pick<GatewayOptions, 'routes' | 'maxRetries'>>): void {
    this.#options = { ...this.#options, ...changes };
  }

  models(): readonly PublicModel[] {
    return [...this.#options.routes.values()].map((route) => route.model);
  }

  /** @throws AppError `model_not_found` */
  model(name: string): PublicModel {
    return this.#route(name).model;
  }

  /**
   * Runs one request. `deliver` gets the reply once it has begun and resolves when the client has it all; what it
   * throws is taken as the request's end. Whatever this method throws is an AppError that the client has yet to be told.
   */
  async handle(
    request: GenerateRequest,
    signal: AbortSignal,
    deliver: (reply: Reply) => Promise<void>,
  ): Promise<void> {
    const { now } = this.#options;
    await this.#settled(request, request.model, signal, async (route, options) => {
      const { settlement } = options;
      const reply = await begin(route, request, options);
      if (reply.kind === 'relay') {
        settlement.observation = reply.relay.observation;
        await deliver(reply);
      } else {
        await deliver({ kind: 'parts', parts: observeParts(reply.parts, settlement, now) });
      }
    });
  }

  /** The same for a request that wants a text read instead of continued. */
  async encode(
    request: EncodeRequest,
    signal: AbortSignal,
    deliver: (reply: EncodeReply) => Promise<void>,
  ): Promise<void> {
    const settled = { id: request.id, endpoint: request.endpoint, stream: false };
    await this.#settled(settled, request.model, signal, async (route, options) => {
      await deliver(await encode(route, request, options));
    });
  }

  async #settled(
    request: SettledRequest,
    model: string,
    signal: AbortSignal,
    work: (route: Route, options: BeginOptions) => Promise<void>,
  ): Promise<void> {
    const { emit, now, random, maxRetries } = this.#options;
    const settlement = new Settlement(request, now);
    this.#inFlight++;
    try {
      const route = this.#route(model);
      settlement.model = route.model.name;
      await work(route, { signal, settlement, now, random, maxRetries });
      signal.throwIfAborted();
    } catch (error) {
      throw settlement.fail(
        signal.aborted ? new AppError('client_closed', { cause: error }) : AppError.from(error),
      );
    } finally {
      this.#inFlight--;
      emit(settlement.settle());
    }
  }

  #route(name: string): Route {
    const route = this.#options.routes.get(name);
    if (route) return route;
    throw new AppError('model_not_found', {
      message: `The model \`${name.slice(0, 200)}\` does not exist or you do not have access to it.`,
      param: 'model',
    });
  }
}
