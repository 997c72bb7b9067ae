import type { DeploymentConfig, ModelConfig } from '../../config/model.ts';
import { limitsOf } from '../../config/rates.ts';
import type { Config } from '../../config/schema.ts';
import { POLICIES } from '../../routers/policies.ts';
import { DEFAULT_SETTINGS, type PolicySettings } from '../../routers/policy.ts';
import type { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import type { Canary, Deployment, PublicModel } from '../core/deployment.ts';
import { EmbeddingClassifier } from '../difficulty/embedding-classifier.ts';
import { EMBEDDING_HEAD } from '../difficulty/embedding-head.ts';
import { featureClassifier } from '../difficulty/feature-classifier.ts';
import type { Route, Tiers } from '../gateway/placement/route.ts';
import type { Shadow } from '../gateway/trials/shadow.ts';
import type { UpstreamGroup } from '../upstream/group.ts';

/** How a public model is spread over its deployments, and who may see it. */
type Spread = Pick<ModelConfig, 'policy' | 'hedge' | 'privacy' | 'regions' | 'tiers' | 'limits'> & {
  readonly settings: PolicySettings;
  readonly shadow?: Shadow | undefined;
};

/** Of a model that has no entry: it has one deployment. */
const ALONE: Spread = {
  policy: 'round-robin',
  hedge: false,
  privacy: 'public',
  regions: undefined,
  settings: DEFAULT_SETTINGS,
};

/**
 * From the configuration to the table of public models: the `models` entries, and every engine under its own name
 * unless an entry took it. A model of the previous table keeps its age, and its policy with what that has learnt.
 */
export function buildRoutes(
  config: Config,
  engines: readonly Deployment['backend'][],
  upstreams: readonly Pick<UpstreamGroup, 'name' | 'members'>[],
  knowledge: RoutingKnowledge,
  previous: ReadonlyMap<string, Route> = new Map(),
): ReadonlyMap<string, Route> {
  const engineByName = new Map(engines.map((backend) => [backend.name, backend]));
  const membersByName = new Map(upstreams.map(({ name, members }) => [name, members]));
  const upstreamConfig = new Map(config.upstreams.map((upstream) => [upstream.name, upstream]));
  const createdAtS = Math.floor(Date.now() / 1000);
  const routes = new Map<string, Route>();
  const add = (model: Omit<PublicModel, 'createdAtS'>, spread: Spread) => {
    const { policy, settings, hedge, privacy, regions, tiers, shadow, limits } = spread;
    const before = previous.get(model.name);
    const policyKey = JSON.stringify([policy, settings]);
    routes.set(model.name, {
      model: { ...model, createdAtS: before?.model.createdAtS ?? createdAtS },
      policy: before?.policyKey === policyKey ? before.policy : POLICIES[policy]({ knowledge, settings }),
      policyKey,
      hedge,
      tiers: tiers && tiersOf(tiers, engineByName),
      demands: { privacy, regions },
      shadow,
      limits: limits && limitsOf(limits),
    });
  };

  for (const entry of config.models) {
    const { name, deployments, shadow, weights, slo, exploration } = entry;
    const build = (deployment: DeploymentConfig): Deployment[] => {
      const engine = deployment.engine === undefined ? undefined : engineByName.get(deployment.engine);
      const stated = { ...statedOf(deployment), canary: canaryOf(deployment, name) };
      if (engine) return [{ ...localDeployment(engine, config.region), ...stated }];
      const members = membersByName.get(deployment.upstream ?? '');
      if (!members) throw new Error(`model ${name} names an unknown backend`);
      const model = deployment.model ?? name;
      const { region, privacy = 'public' } = upstreamConfig.get(deployment.upstream ?? '') ?? {};
      return members.map((backend) => ({
        id: `${backend.name}/${model}`,
        backend,
        model,
        region,
        privacy,
        ...stated,
      }));
    };
    const mirrored = shadow && { ...shadow, deployments: build(shadow.deployment) };
    add(
      { name, deployments: withoutDrained(deployments.flatMap(build)) },
      { ...entry, shadow: mirrored, settings: { weights, slo, exploration } },
    );
  }
  for (const engine of engines) {
    if (routes.has(engine.name)) continue;
    add({ name: engine.name, deployments: [localDeployment(engine, config.region)] }, ALONE);
  }
  return routes;
}

/** Without an engine that makes embeddings, what can be counted has to do; decisions tell which it was. */
function tiersOf(
  { threshold, quality, encoder: name, timeoutMs }: NonNullable<ModelConfig['tiers']>,
  engines: ReadonlyMap<string, Deployment['backend']>,
): Tiers {
  const encoder = name === undefined ? undefined : engines.get(name);
  const classifier =
    encoder?.kind === 'encoder'
      ? new EmbeddingClassifier({ encoder, head: EMBEDDING_HEAD, timeoutMs })
      : featureClassifier;
  return { threshold, quality, classifier };
}

/** A model that is nowhere else stays known: it answers that it is unavailable. */
function withoutDrained(deployments: readonly Deployment[]): readonly Deployment[] {
  const open = deployments.filter(({ backend }) => !('drained' in backend && backend.drained));
  return open.length > 0 ? open : deployments;
}

/** What the operator says of a deployment. */
function statedOf({ price, contextTokens, machineUsdPerHour, quality, weight }: DeploymentConfig) {
  return {
    price: price && {
      ...price,
      cachedInputUsdPerMTok: price.cachedInputUsdPerMTok ?? price.inputUsdPerMTok,
    },
    contextTokens,
    machineUsdPerHour,
    quality,
    weight,
  };
}

function canaryOf({ canary, engine, upstream, model }: DeploymentConfig, name: string): Canary | undefined {
  return (
    canary && { id: engine === undefined ? `${upstream}/${model ?? name}` : `${engine}/${engine}`, ...canary }
  );
}

function localDeployment(backend: Deployment['backend'], region: string | undefined): Deployment {
  return {
    id: `${backend.name}/${backend.name}`,
    backend,
    model: backend.name,
    region,
    privacy: 'local',
    price: undefined,
    contextTokens: undefined,
  };
}
