import type { Backend, Relay, RelayRequest } from '../core/backend.ts';
import type { Deployment } from '../core/deployment.ts';
import { type EncodeRequest, type EncodeResult, type Encoder, TASK_OF } from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import { startAtAllowed } from './allowed.ts';
import type { AttemptOptions } from './attempts.ts';
import type { DeploymentOf } from './begin.ts';
import { encodeFeatures } from './features.ts';
import type { Route } from './route.ts';

/** What was made of the texts, or a remote server's answer in the client's own dialect. */
export type EncodeReply =
  | { readonly kind: 'result'; readonly result: EncodeResult }
  | { readonly kind: 'relay'; readonly relay: Relay };

/** A remote server that answers in the client's dialect. */
type Relaying = Backend & Required<Pick<Backend, 'relay'>>;

const PURPOSE = {
  embeddings: 'make embeddings',
  rerank: 'rank documents',
  classify: 'classify texts',
} as const;

/**
 * Runs the request at the best deployment that can serve it and tells the settlement what was used.
 *
 * @throws AppError of the last attempt, or `invalid_value` for `model` when no deployment is made for it.
 */
export async function encode(request: EncodeRequest, options: AttemptOptions): Promise<EncodeReply> {
  const capable = (route: Route) => capableDeployments(route, request);
  const features = encodeFeatures(request, options);
  const reply = await startAtAllowed<DeploymentOf<Encoder | Relaying>, EncodeReply>(
    capable,
    request,
    features,
    options,
    async ({ backend, model }, signal) =>
      backend.kind === 'encoder'
        ? { kind: 'result', result: await runAt(backend, request, signal) }
        : { kind: 'relay', relay: await backend.relay(toRelayRequest(request), { model, signal }) },
  );
  const { settlement } = options;
  if (reply.kind === 'relay') settlement.observation = reply.relay.observation;
  else
    settlement.observation.usage = {
      promptTokens: reply.result.promptTokens,
      completionTokens: 0,
      cachedPromptTokens: 0,
      reasoningTokens: 0,
    };
  return reply;
}

function capableDeployments(
  { model }: Route,
  request: EncodeRequest,
): readonly DeploymentOf<Encoder | Relaying>[] {
  const capable = model.deployments.filter((deployment): deployment is DeploymentOf<Encoder | Relaying> =>
    canEncode(deployment, request),
  );
  if (capable.length > 0) return capable;
  throw new AppError('invalid_value', {
    message: `The model \`${model.name}\` does not ${PURPOSE[request.endpoint]}.`,
    param: 'model',
  });
}

function canEncode({ backend }: Deployment, { endpoint }: EncodeRequest): boolean {
  if (backend.kind === 'encoder') return backend.task === undefined || backend.task === TASK_OF[endpoint];
  // Servers have no common path for classification.
  return backend.kind === 'upstream' && backend.relay !== undefined && endpoint !== 'classify';
}

async function runAt(encoder: Encoder, request: EncodeRequest, signal: AbortSignal): Promise<EncodeResult> {
  switch (request.endpoint) {
    case 'embeddings':
      return await encoder.embed(request, { signal });
    case 'rerank':
      return await encoder.rerank(request, { signal });
    case 'classify':
      return await encoder.classify(request, { signal });
  }
}

function toRelayRequest({ id, wire }: EncodeRequest): RelayRequest {
  return { id, wire, stream: false, includeUsage: true };
}
