import type { Config } from '../config/schema.ts';
import { roundRobin } from '../routers/round-robin.ts';
import type { Deployment, PublicModel } from './core/deployment.ts';
import type { Route } from './gateway/gateway.ts';
import type { UpstreamGroup } from './upstream/group.ts';

/**
 * From the configuration to the table of public models: the `models` entries, and every engine under its own name
 * unless an entry took it. A model of the previous table keeps its age, and its policy with what that has learnt.
 */
export function buildRoutes(
  config: Config,
  engines: readonly Deployment['backend'][],
  upstreams: readonly Pick<UpstreamGroup, 'name' | 'members'>[],
  previous: ReadonlyMap<string, Route> = new Map(),
): ReadonlyMap<string, Route> {
  const engineByName = new Map(engines.map((backend) => [backend.name, backend]));
  const membersByName = new Map(upstreams.map(({ name, members }) => [name, members]));
  const upstreamConfig = new Map(config.upstreams.map((upstream) => [upstream.name, upstream]));
  const createdAtS = Math.floor(Date.now() / 1000);
  const routes = new Map<string, Route>();
  const add = (model: Omit<PublicModel, 'createdAtS'>, policyName: string, hedge: boolean) => {
    const before = previous.get(model.name);
    const policy = before?.policy.name === policyName ? before.policy : roundRobin();
    routes.set(model.name, {
      model: { ...model, createdAtS: before?.model.createdAtS ?? createdAtS },
      policy,
      hedge,
    });
  };

  for (const { name, policy, hedge, deployments } of config.models) {
    const built = deployments.flatMap((entry): Deployment[] => {
      const engine = entry.engine === undefined ? undefined : engineByName.get(entry.engine);
      if (engine) return [{ ...localDeployment(engine), contextTokens: entry.contextTokens }];
      const members = membersByName.get(entry.upstream ?? '');
      if (!members) throw new Error(`model ${name} names an unknown backend`);
      const model = entry.model ?? name;
      const { region, privacy = 'public' } = upstreamConfig.get(entry.upstream ?? '') ?? {};
      return members.map((backend) => ({
        id: `${backend.name}/${model}`,
        backend,
        model,
        region,
        privacy,
        price: entry.price && {
          ...entry.price,
          cachedInputUsdPerMTok: entry.price.cachedInputUsdPerMTok ?? entry.price.inputUsdPerMTok,
        },
        contextTokens: entry.contextTokens,
      }));
    });
    add({ name, deployments: withoutDrained(built) }, policy, hedge);
  }
  for (const engine of engines) {
    if (routes.has(engine.name)) continue;
    add({ name: engine.name, deployments: [localDeployment(engine)] }, 'round-robin', false);
  }
  return routes;
}

/** A model that is nowhere else stays known: it answers that it is unavailable. */
function withoutDrained(deployments: readonly Deployment[]): readonly Deployment[] {
  const open = deployments.filter(({ backend }) => !('drained' in backend && backend.drained));
  return open.length > 0 ? open : deployments;
}

function localDeployment(backend: Deployment['backend']): Deployment {
  return {
    id: `${backend.name}/${backend.name}`,
    backend,
    model: backend.name,
    region: undefined,
    privacy: 'local',
    price: undefined,
    contextTokens: undefined,
  };
}
