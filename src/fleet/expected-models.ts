import type { Config } from '../../config/schema.ts';

/** What the configuration wants an upstream to serve, under the names that it has there. */
export function expectedModels(config: Config, upstream: string): string[] {
  return config.models.flatMap(({ name, deployments, shadow }) =>
    [...deployments, ...(shadow ? [shadow.deployment] : [])]
      .filter((entry) => entry.upstream === upstream)
      .map((entry) => entry.model ?? name),
  );
}
