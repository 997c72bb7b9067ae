import type { Backend, Relay, RunOptions } from '../core/backend.ts';
import type { Caller } from '../core/caller.ts';
import type { Deployment } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { GenerateRequest, Requirement } from '../core/request.ts';
import type { Judgement } from '../difficulty/classifier.ts';
import { startAtAllowed } from './allowed.ts';
import type { AttemptOptions } from './attempts.ts';
import { ofTenant } from './caller-rules.ts';
import { generationFeatures } from './features.ts';
import type { Reply } from './gateway.ts';
import { isMedia } from './media.ts';
import type { Route } from './route.ts';
import type { Shadows } from './shadow.ts';

export type DeploymentOf<B extends Deployment['backend']> = Deployment & { readonly backend: B };

/**
 * Starts a generation at the best deployment that can serve it.
 *
 * @throws AppError of the last attempt, or one that names the field that no deployment supports.
 */
export function begin(request: GenerateRequest, options: AttemptOptions, shadows: Shadows): Promise<Reply> {
  const judging = options.route().tiers?.classifier.consider?.(request, options.signal);
  if (judging === undefined) return beginJudged(request, options, shadows);
  return judging.then((judgement) => {
    options.signal.throwIfAborted();
    return beginJudged(request, { ...options, judgement }, shadows);
  });
}

function beginJudged(
  request: GenerateRequest,
  options: AttemptOptions & { readonly judgement?: Judgement | undefined },
  shadows: Shadows,
): Promise<Reply> {
  const features = generationFeatures(request, options);
  const capable = ({ model }: Route) => capableDeployments(model.deployments.filter(isGenerator), request);
  let mirrored = false;
  return startAtAllowed(capable, request, features, options, ({ backend, model }, signal) => {
    const tenant = options.caller?.projectId;
    const reply = start(backend, request, { model, signal, tenant }, options.caller);
    const { shadow } = options.route();
    if (!mirrored && shadow !== undefined)
      shadows.mirror(ofTenant(request, options.caller), features, shadow);
    mirrored = true;
    return reply;
  });
}

function isGenerator(deployment: Deployment): deployment is DeploymentOf<Backend> {
  return deployment.backend.kind !== 'encoder';
}

function start(
  backend: Backend,
  request: GenerateRequest,
  target: RunOptions,
  caller: Caller | undefined,
): Promise<Reply> {
  // A relay sends the request as it came, and has nothing to remember.
  if (backend.relay) return backend.relay(request, target).then(asRelay);
  return backend.run(ofTenant(request, caller), target).then((parts) => ({ kind: 'parts', parts }));
}

function asRelay(relay: Relay): Reply {
  return { kind: 'relay', relay };
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
    if (request.unread === true && deployment.backend.takesUnread !== true) return false;
    const lack = deployment.backend.lacks(request);
    missing ??= lack;
    return lack === undefined;
  });
  if (capable.length > 0 || missing === undefined) return capable;
  const content = isMedia(missing);
  throw new AppError(content ? 'unsupported_content' : 'unsupported_parameter', {
    message: content
      ? `The model \`${request.model}\` takes text only; it does not accept ${missing.capability} content.`
      : `The model \`${request.model}\` does not support \`${missing.param}\`.`,
    param: missing.param,
  });
}
