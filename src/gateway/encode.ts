import type { Backend, Relay, RelayRequest } from '../core/backend.ts';
import type { Deployment, DeploymentOf } from '../core/deployment.ts';
import { type EncodeRequest, type EncodeResult, type Encoder, TASK_OF } from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import { startAtAllowed } from './allowed.ts';
import { encodeFeatures } from './features.ts';
import type { Route } from './placement/route.ts';
import type { RequestContext } from './request-context.ts';

/** A remote server that answers in the client's dialect. */
type Relaying = Backend & Required<Pick<Backend, 'relay'>>;

const PURPOSE = {
  embeddings: 'make embeddings',
  rerank: 'rank documents',
  classify: 'classify texts',
} as const;

/**
 * Runs the request at the best deployment that can serve it. Of what is made here, the settlement is told what was used.
 *
 * @throws AppError of the last attempt, or `invalid_value` for `model` when no deployment is made for it.
 */
export async function encode(request: EncodeRequest, context: RequestContext): Promise<Relay | EncodeResult> {
  const capable = (route: Route) => capableDeployments(route, request);
  const features = encodeFeatures(request, context);
  const reply = await startAtAllowed<DeploymentOf<Encoder | Relaying>, Relay | EncodeResult>(
    capable,
    request,
    features,
    context,
    ({ backend, model }, signal) =>
      backend.kind === 'encoder'
        ? runAt(backend, request, signal)
        : backend.relay(toRelayRequest(request), { model, signal, judge: context.settlement }),
  );
  if ('endpoint' in reply)
    context.settlement.observation.usage = {
      promptTokens: reply.promptTokens,
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

function runAt(encoder: Encoder, request: EncodeRequest, signal: AbortSignal): Promise<EncodeResult> {
  switch (request.endpoint) {
    case 'embeddings':
      return encoder.embed(request, { signal });
    case 'rerank':
      return encoder.rerank(request, { signal });
    case 'classify':
      return encoder.classify(request, { signal });
  }
}

function toRelayRequest({ id, wire }: EncodeRequest): RelayRequest {
  return { id, wire, stream: false, includeUsage: true };
}
