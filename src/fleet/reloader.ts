import type { Config } from '../../config/schema.ts';
import type { Emit } from '../core/event.ts';
import type { ModelPaths } from './fleet.ts';

export interface LoadedConfig {
  readonly config: Config;
  readonly modelPaths: ModelPaths;
}

type Load = () => Promise<LoadedConfig>;

/** What only a restart changes, read from a configuration. */
const FIXED = {
  'listen.host': ({ listen }: Config) => listen.host,
  'listen.port': ({ listen }: Config) => listen.port,
  'listen.workers': ({ listen }: Config) => listen.workers,
  'listen.allowUnauthenticated': ({ listen }: Config) => listen.allowUnauthenticated,
  dataDir: ({ dataDir }: Config) => dataDir,
  database: ({ database }: Config) => database,
  redis: ({ redis }: Config) => redis,
  keys: ({ keys }: Config) => JSON.stringify(keys),
  'limits.replicas': ({ limits }: Config) => limits.replicas,
  budgets: ({ budgets }: Config) => JSON.stringify(budgets),
} as const;

export interface ReloaderOptions {
  readonly initial: Config;
  /** Applies it as a whole or throws. Resolves to what has changed, in words. */
  readonly apply: (loaded: LoadedConfig) => Promise<string>;
  readonly emit: Emit;
}

/** Takes configurations one after the other; whatever is wrong with one, the last good one stays. */
export class Reloader {
  readonly #options: ReloaderOptions;
  #current: Config;
  #last: Promise<unknown> = Promise.resolve();
  #waiting: { load: Load; readonly result: Promise<boolean> } | undefined;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#current = options.initial;
  }

  /** The configuration in use. */
  get current(): Config {
    return this.#current;
  }

  /**
   * @param load May throw, which refuses the configuration. While one is being applied only the latest of those that wait counts.
   * @returns Whether it is in use now.
   */
  reload(load: Load): Promise<boolean> {
    if (this.#waiting !== undefined) {
      this.#waiting.load = load;
      return this.#waiting.result;
    }
    const result = this.#last.then(() => {
      const latest = this.#waiting?.load ?? load;
      this.#waiting = undefined;
      return this.#reload(latest);
    });
    this.#waiting = { load, result };
    this.#last = result;
    return result;
  }

  async #reload(load: Load): Promise<boolean> {
    const { apply, emit } = this.#options;
    try {
      const loaded = await load();
      const fixed = Object.entries(FIXED);
      const ignored = fixed.filter(([, read]) => read(loaded.config) !== read(this.#current));
      const config = withFixed(loaded.config, this.#current);
      const detail = await apply({ ...loaded, config });
      this.#current = config;
      emit({ type: 'config-reloaded', ok: true, detail, ignored: ignored.map(([name]) => name) });
      return true;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      emit({ type: 'config-reloaded', ok: false, detail, ignored: [] });
      return false;
    }
  }
}

/** What only a restart changes stays as it is in `current`. */
export function withFixed(config: Config, current: Config): Config {
  const { host, port, workers, allowUnauthenticated } = current.listen;
  return {
    ...config,
    dataDir: current.dataDir,
    database: current.database,
    redis: current.redis,
    budgets: current.budgets,
    keys: current.keys,
    limits: { ...config.limits, replicas: current.limits.replicas },
    listen: { ...config.listen, host, port, workers, allowUnauthenticated },
  };
}
