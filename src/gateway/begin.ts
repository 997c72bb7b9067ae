import type { Candidate } from '../../routers/policy.ts';
import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { GenerateRequest, Requirement } from '../core/request.ts';
import type { Reply, Route } from './gateway.ts';
import type { Settlement } from './settlement.ts';

interface BeginOptions {
  readonly signal: AbortSignal;
  readonly settlement: Settlement;
  readonly now: () => number;
  readonly random: () => number;
  readonly maxRetries: number;
}

interface RoutedCandidate extends Candidate {
  readonly deployment: Deployment;
}

/**
 * Starts the request at the best deployment that can serve it, and at the next ones while nothing has been delivered
 * and the failure says that another try may help.
 *
 * @throws AppError of the last attempt, or one that names the field that no deployment supports.
 */
export async function begin(route: Route, request: GenerateRequest, options: BeginOptions): Promise<Reply> {
  const { signal, settlement, now, random, maxRetries } = options;
  const capable = capableDeployments(route.model.deployments, request);
  const ranked = route.policy.rank({ candidates: capable.map(toCandidate), nowMs: now(), random });

  let failure: AppError | undefined;
  for (const { deployment } of ranked.slice(0, maxRetries + 1)) {
    signal.throwIfAborted();
    const startedAtMs = now();
    try {
      const reply = await start(deployment, request, signal);
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

async function start(deployment: Deployment, request: GenerateRequest, signal: AbortSignal): Promise<Reply> {
  const { backend, model } = deployment;
  if (backend.relay) return { kind: 'relay', relay: await backend.relay(request, { model, signal }) };
  return { kind: 'parts', parts: await backend.run(request, { model, signal }) };
}

function toCandidate(deployment: Deployment): RoutedCandidate {
  const { state, inFlight } = deployment.backend.health();
  return { id: deployment.id, ready: state === 'ready', inFlight, deployment };
}

function capableDeployments(
  deployments: readonly Deployment[],
  request: GenerateRequest,
): readonly Deployment[] {
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
