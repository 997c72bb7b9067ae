import type { Backend, Relay, RunOptions } from '../core/backend.ts';
import type { Caller } from '../core/caller.ts';
import type { Deployment, DeploymentOf } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { PartSource } from '../core/part-source.ts';
import type { GenerateRequest, Requirement } from '../core/request.ts';
import { startAtAllowed } from './allowed.ts';
import { ofTenant } from './caller-rules.ts';
import { generationFeatures } from './features.ts';
import type { Route } from './placement/route.ts';
import { isMedia } from './request/media.ts';
import type { RequestContext } from './request-context.ts';
import type { Shadows } from './trials/shadow.ts';

/**
 * Starts a generation at the best deployment that can serve it.
 *
 * @throws AppError of the last attempt, or one that names the field that no deployment supports.
 */
export function generate(
  request: GenerateRequest,
  context: RequestContext,
  shadows: Shadows,
): Promise<Relay | PartSource> {
  const judging = context.route.tiers?.classifier.consider?.(request, context.signal);
  if (judging === undefined) return generateJudged(request, context, shadows);
  return judging.then((judgement) => {
    context.signal.throwIfAborted();
    context.judgement = judgement;
    return generateJudged(request, context, shadows);
  });
}

function generateJudged(
  request: GenerateRequest,
  context: RequestContext,
  shadows: Shadows,
): Promise<Relay | PartSource> {
  const features = generationFeatures(request, context);
  const capable = ({ model }: Route) => capableDeployments(generatorsOf(model.deployments), request);
  let mirrored = false;
  return startAtAllowed(capable, request, features, context, ({ backend, model }, signal) => {
    const { caller, route, settlement } = context;
    const { shadow } = route;
    if (!mirrored && shadow !== undefined) shadows.mirror(ofTenant(request, caller), features, shadow);
    mirrored = true;
    return start(backend, request, { model, signal, tenant: caller?.projectId, judge: settlement }, caller);
  });
}

function generatorsOf(deployments: readonly Deployment[]): readonly DeploymentOf<Backend>[] {
  return deployments.every(isGenerator) ? deployments : deployments.filter(isGenerator);
}

function isGenerator(deployment: Deployment): deployment is DeploymentOf<Backend> {
  return deployment.backend.kind !== 'encoder';
}

function start(
  backend: Backend,
  request: GenerateRequest,
  target: RunOptions,
  caller: Caller | undefined,
): Promise<Relay | PartSource> {
  // A relay sends the request as it came, and has nothing to remember.
  return backend.relay ? backend.relay(request, target) : backend.run(ofTenant(request, caller), target);
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
  const isCapable = ({ backend }: DeploymentOf<Backend>) => {
    if (request.unread === true && backend.takesUnread !== true) return false;
    const lack = backend.lacks(request);
    missing ??= lack;
    return lack === undefined;
  };
  if (deployments.every(isCapable)) return deployments;
  const capable = deployments.filter(isCapable);
  if (capable.length > 0 || missing === undefined) return capable;
  const content = isMedia(missing);
  throw new AppError(content ? 'unsupported_content' : 'unsupported_parameter', {
    message: content
      ? `The model \`${request.model}\` takes text only; it does not accept ${missing.capability} content.`
      : `The model \`${request.model}\` does not support \`${missing.param}\`.`,
    param: missing.param,
  });
}
