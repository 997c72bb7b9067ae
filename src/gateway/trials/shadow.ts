import { obstacle } from '../../../routers/constraints.ts';
import type { RequestFeatures } from '../../../routers/request.ts';
import type { Backend } from '../../core/backend.ts';
import { holdBody, releaseBody } from '../../core/body-memory.ts';
import type { Deployment } from '../../core/deployment.ts';
import { AppError } from '../../core/error.ts';
import type { Emit } from '../../core/event.ts';
import type { GenerateRequest } from '../../core/request.ts';

/** Where copies of a model's requests go, to be answered for nobody. */
export interface Shadow {
  /** The members of one entry of the configuration. */
  readonly deployments: readonly Deployment[];
  /** Of the requests, 0 to 1. */
  readonly share: number;
  readonly maxInFlight: number;
}

/** Far more than any reply; whoever sends more is cut off. */
const MAX_REPLY_BYTES = 16 * 1024 * 1024;
const MAX_MS = 120_000;

/**
 * Sends copies of requests to deployments under trial and throws the replies away. Nobody waits for one: what cannot be sent at
 * once is dropped. A copy goes only where its request itself might have gone, and is counted and told apart from requests.
 */
export class Shadows {
  readonly #emit: Emit;
  readonly #random: () => number;
  readonly #stopped = new AbortController();
  /** By the model's name. */
  readonly #inFlight = new Map<string, number>();

  constructor(emit: Emit, random: () => number) {
    this.#emit = emit;
    this.#random = random;
  }

  /** Ends all copies, and makes no more. */
  stop(): void {
    this.#stopped.abort();
  }

  mirror(request: GenerateRequest, features: RequestFeatures, shadow: Shadow): void {
    if (this.#stopped.signal.aborted || this.#random() >= shadow.share) return;
    const { model } = request;
    const allowed = shadow.deployments.filter((one) => mayHave(one, request, features));
    if (allowed.length === 0) return;
    const running = this.#inFlight.get(model) ?? 0;
    const ready = allowed.filter(({ backend }) => backend.health().state === 'ready');
    const [target] = ready.sort((a, b) => a.backend.health().inFlight - b.backend.health().inFlight);
    if (target === undefined || running >= shadow.maxInFlight) {
      this.#emit({
        type: 'shadow-settled',
        model,
        deployment: (target ?? allowed[0]!).id,
        outcome: 'dropped',
      });
      return;
    }
    this.#inFlight.set(model, running + 1);
    holdBody(request.wire.body);
    // The request is not to pay for what it costs to send a copy.
    setImmediate(() => void this.#run(request, target));
  }

  async #run(request: GenerateRequest, { id, backend, model }: Deployment): Promise<void> {
    const stopped = this.#stopped.signal;
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(MAX_MS)]);
    let outcome: 'ok' | 'failed' | 'cancelled' = 'ok';
    let cause: unknown;
    try {
      signal.throwIfAborted();
      await readAll(backend as Backend, { ...request, id: `${request.id}-shadow` }, model, signal);
    } catch (error) {
      outcome = stopped.aborted ? 'cancelled' : 'failed';
      cause = AppError.from(error);
    }
    releaseBody(request.wire.body);
    this.#inFlight.set(request.model, this.#inFlight.get(request.model)! - 1);
    this.#emit({ type: 'shadow-settled', model: request.model, deployment: id, outcome, cause });
  }
}

/** What is not allowed for the request is not allowed for its copy. */
function mayHave(deployment: Deployment, request: GenerateRequest, features: RequestFeatures): boolean {
  const { backend } = deployment;
  if (backend.kind === 'encoder' || obstacle(deployment, features) !== undefined) return false;
  if (request.unread === true && backend.takesUnread !== true) return false;
  return backend.lacks(request) === undefined;
}

async function readAll(
  backend: Backend,
  request: GenerateRequest,
  model: string,
  signal: AbortSignal,
): Promise<void> {
  const options = { model, signal, unjudged: true };
  if (backend.relay === undefined) {
    for await (const part of await backend.run(request, options)) if (part.type === 'error') throw part.error;
    return;
  }
  const reply = await backend.relay(request, options);
  let bytes = 0;
  await reply.pump({
    write(chunk) {
      bytes += chunk.length;
      if (bytes > MAX_REPLY_BYTES)
        throw new AppError('upstream_error', { cause: new Error('it does not end') });
      return true;
    },
    drained: async () => {},
  });
}
