import type { Candidate } from '../../routers/policy.ts';
import type { Backend } from '../core/backend.ts';
import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { GenerateRequest, Requirement } from '../core/request.ts';
import type { Reply, Route } from './gateway.ts';
import type { Settlement } from './settlement.ts';

export interface BeginOptions {
  readonly signal: AbortSignal;
  readonly settlement: Settlement;
  readonly now: () => number;
  readonly random: () => number;
  readonly maxRetries: number;
}

interface RoutedCandidate<B extends Deployment['backend']> extends Candidate {
  readonly deployment: DeploymentOf<B>;
}

export type DeploymentOf<B extends Deployment['backend']> = Deployment & { readonly backend: B };

/**
 * Starts a generation at the best deployment that can serve it.
 *
 * @throws AppError of the last attempt, or one that names the field that no deployment supports.
 */
export async function begin(route: Route, request: GenerateRequest, options: BeginOptions): Promise<Reply> {
  const capable = capableDeployments(route.model.deployments.filter(isGenerator), request);
  return await startAtBest(route, capable, options, ({ backend, model }) =>
    start(backend, request, model, options.signal),
  );
}

/**
 * Tries the deployments as the policy ranks them, the next one while nothing has been delivered and the failure says
 * that another try may help.
 *
 * @throws AppError of the last attempt.
 */
export async function startAtBest<B extends Deployment['backend'], T>(
  route: Route,
  capable: readonly DeploymentOf<B>[],
  { signal, settlement, now, random, maxRetries }: BeginOptions,
  attempt: (deployment: DeploymentOf<B>) => Promise<T>,
): Promise<T> {
  const candidates = capable.map((deployment) => toCandidate(deployment));
  const ranked = route.policy.rank({ candidates, nowMs: now(), random });

  let failure: AppError | undefined;
  for (const { deployment } of ranked.slice(0, maxRetries + 1)) {
    signal.throwIfAborted();
    const startedAtMs = now();
    try {
      const reply = await attempt(deployment);
      settlement.attempt(deployment, undefined, now() - startedAtMs);
      return reply;
    } catch (error) {
      failure = signal.aborted ? new AppError('client_closed', { cause: error }) : AppError.from(error);
      settlement.attempt(deployment, failure.code, now() - startedAtMs);
      if (!failure.retryable || signal.aborted) throw failure;
    }
  }
  throw failure ?? new AppError('model_unavailable');
}

function isGenerator(deployment: Deployment): deployment is DeploymentOf<Backend> {
  return deployment.backend.kind !== 'encoder';
}

async function start(
  backend: Backend,
  request: GenerateRequest,
  model: string,
  signal: AbortSignal,
): Promise<Reply> {
  if (backend.relay) return { kind: 'relay', relay: await backend.relay(request, { model, signal }) };
  return { kind: 'parts', parts: await backend.run(request, { model, signal }) };
}

function toCandidate<B extends Deployment['backend']>(deployment: DeploymentOf<B>): RoutedCandidate<B> {
  const { state, inFlight } = deployment.backend.health();
  return { id: deployment.id, ready: state === 'ready', inFlight, deployment };
}

function capableDeployments(
  deployments: readonly DeploymentOf<Backend>[],
  request: GenerateRequest,
): readonly DeploymentOf<Backend>[] {
  if (deployments.length === 0)
    throw new AppError('invalid_value', {
      message: `The model \`${request.model}\` reads text and does not write any: it cannot answer this request.`,
      param: 'model',
    });
  let missing: Requirement | undefined;
  const capable = deployments.filter((deployment) => {
    const lack = deployment.backend.lacks(request);
    missing ??= lack;
    return lack === undefined;
  });
  if (capable.length > 0 || missing === undefined) return capable;
  const content =
    missing.capability === 'image' || missing.capability === 'audio' || missing.capability === 'file';
  throw new AppError(content ? 'unsupported_content' : 'unsupported_parameter', {
    message: content
      ? `The model \`${request.model}\` takes text only; it does not accept ${missing.capability} content.`
      : `The model \`${request.model}\` does not support \`${missing.param}\`.`,
    param: missing.param,
  });
}
