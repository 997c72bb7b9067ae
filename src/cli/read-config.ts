import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { engineName } from '../../config/engine.ts';
import { checkConfig, DEFAULT_CONFIG, loadConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import type { LoadedConfig } from '../fleet/reloader.ts';
import type { Environment } from './run.ts';

const DEFAULT_FILE = 'qianmen.yaml';

export interface ServeFlags {
  readonly config?: string;
  readonly host?: string;
  readonly port?: number;
  readonly dataDir?: string;
}

/** The file to read, if there is one. */
export function configFile(flags: ServeFlags): string | undefined {
  return flags.config ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
}

/** @throws ConfigError */
export function readConfig(flags: ServeFlags, env: Environment): Config {
  const file = configFile(flags);
  const config =
    file === undefined ? checkConfig(DEFAULT_CONFIG, 'the default configuration') : loadConfig(file, env);
  return {
    ...config,
    dataDir: flags.dataDir ?? config.dataDir,
    listen: {
      ...config.listen,
      host: flags.host ?? config.listen.host,
      port: flags.port ?? config.listen.port,
    },
  };
}

export interface ModelFetcher {
  /** Resolves to the path of a model of the catalogue. */
  one(model: string): Promise<string>;
  /** All that the configuration names. */
  all(config: Config): Promise<LoadedConfig>;
}

/** Fetches model files that were not fetched before. */
export function modelFetcher(dataDir: string, env: Environment): ModelFetcher {
  const fetched = new Map<string, string>();
  const one = async (model: string): Promise<string> => {
    let path = fetched.get(model);
    if (path === undefined) {
      const { fetchWithProgress } = await import('./fetch-with-progress.ts');
      path = await fetchWithProgress(model, join(dataDir, 'models'), env);
      fetched.set(model, path);
    }
    return path;
  };
  return {
    one,
    async all(config) {
      const modelPaths = new Map<string, string>();
      for (const engine of config.engines)
        if (engine.model !== undefined) modelPaths.set(engineName(engine), await one(engine.model));
      return { config, modelPaths };
    },
  };
}
