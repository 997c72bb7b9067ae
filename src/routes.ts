import type { Config } from '../config/schema.ts';
import { roundRobin } from '../routers/round-robin.ts';
import type { Backend } from './core/backend.ts';
import type { Deployment } from './core/deployment.ts';
import type { Route } from './gateway/gateway.ts';

/**
 * From the configuration to the table of public models: the `models` entries, and every engine under its own name
 * unless an entry took it.
 */
export function buildRoutes(
  config: Config,
  engines: readonly Deployment['backend'][],
  upstreams: readonly Backend[],
): ReadonlyMap<string, Route> {
  const engineByName = new Map(engines.map((backend) => [backend.name, backend]));
  const upstreamByName = new Map(upstreams.map((backend) => [backend.name, backend]));
  const upstreamConfig = new Map(config.upstreams.map((upstream) => [upstream.name, upstream]));
  const createdAtS = Math.floor(Date.now() / 1000);
  const routes = new Map<string, Route>();

  for (const { name, deployments } of config.models) {
    const built = deployments.map((entry): Deployment => {
      const engine = entry.engine === undefined ? undefined : engineByName.get(entry.engine);
      if (engine) return { ...localDeployment(engine), contextTokens: entry.contextTokens };
      const backend = upstreamByName.get(entry.upstream ?? '');
      if (!backend) throw new Error(`model ${name} names an unknown backend`);
      const model = entry.model ?? name;
      const { region, privacy = 'public' } = upstreamConfig.get(backend.name) ?? {};
      return {
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
      };
    });
    routes.set(name, { model: { name, deployments: built, createdAtS }, policy: roundRobin() });
  }
  for (const engine of engines) {
    if (routes.has(engine.name)) continue;
    const model = { name: engine.name, deployments: [localDeployment(engine)], createdAtS };
    routes.set(engine.name, { model, policy: roundRobin() });
  }
  return routes;
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
