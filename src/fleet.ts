import { type Config, engineName } from '../config/schema.ts';
import type { Deployment } from './core/deployment.ts';
import type { Emit } from './core/event.ts';
import { createEngine } from './engines.ts';
import type { Route } from './gateway/gateway.ts';
import { Retirement } from './retirement.ts';
import { buildRoutes } from './routes.ts';
import { createUpstream, type UpstreamBackend } from './upstream/upstream.ts';

type AnyBackend = Deployment['backend'];
type Engine = ReturnType<typeof createEngine>;
type Routes = ReadonlyMap<string, Route>;

export interface FleetOptions {
  readonly emit: Emit;
  /** Called whenever the public models, or where they are served, have changed. */
  readonly onRoutes: (routes: Routes) => void;
}

/** A backend and the part of the configuration that it was made from. */
interface Made<B extends AnyBackend> {
  readonly key: string;
  readonly backend: B;
}

/** Where each engine's model file, or its directory, lies, by engine name. Engines configured with `path` need no entry. */
export type ModelPaths = ReadonlyMap<string, string>;

/**
 * Every backend that the configuration names, and the routes to them. A new configuration is applied as a whole or not at all:
 *
 *   unchanged part ── kept: its connections, breaker and process go on
 *   new part       ── started; one that replaces an engine takes over when it is ready
 *   gone part      ── gets nothing new, and is closed once its last request has finished
 */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #retirement = new Retirement();
  readonly #drained = new Set<string>();
  #engines = new Map<string, Made<Engine>>();
  #upstreams = new Map<string, Made<UpstreamBackend>>();
  #config: Config | undefined;
  #routes: Routes = new Map();

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  get routes(): Routes {
    return this.#routes;
  }

  /** Those that serve. */
  get backends(): readonly AnyBackend[] {
    return [...this.#engineBackends(), ...this.#upstreamBackends()];
  }

  /** Those that only finish what they have begun. */
  get leaving(): readonly AnyBackend[] {
    return this.#retirement.backends;
  }

  get upstreams(): readonly UpstreamBackend[] {
    return this.#upstreamBackends();
  }

  /** Resolves when every engine is ready or has failed for the first time. */
  async enginesSettled(): Promise<void> {
    await Promise.allSettled(this.#engineBackends().map((engine) => engine.ready));
  }

  /**
   * Resolves to what has changed, in words.
   *
   * @throws Error if a part cannot be had; then nothing has changed.
   */
  async apply(config: Config, modelPaths: ModelPaths): Promise<string> {
    const started: AnyBackend[] = [];
    const make = <B extends AnyBackend>(
      current: ReadonlyMap<string, Made<B>>,
      parts: readonly { name: string; part: object; create: () => B }[],
    ): Map<string, Made<B>> =>
      new Map(
        parts.map(({ name, part, create }) => {
          const key = JSON.stringify(part);
          const kept = current.get(name);
          if (kept?.key === key) return [name, kept];
          const backend = create();
          started.push(backend);
          return [name, { key, backend }];
        }),
      );
    try {
      const engines = make(this.#engines, this.#engineParts(config, modelPaths));
      const upstreams = make(this.#upstreams, this.#upstreamParts(config));
      await this.#replacementsReady(engines);
      return this.#adopt(config, engines, upstreams);
    } catch (error) {
      await Promise.all(started.map((backend) => backend.close()));
      throw error;
    }
  }

  /** No new requests for this upstream, or again some; not kept over a restart. @returns Whether there is such an upstream. */
  setDrained(name: string, drained: boolean): boolean {
    if (!this.#upstreams.has(name)) return false;
    if (drained) this.#drained.add(name);
    else this.#drained.delete(name);
    this.#reroute();
    return true;
  }

  async close(): Promise<void> {
    await Promise.all([this.#retirement.close(), ...this.backends.map((backend) => backend.close())]);
  }

  #engineParts(config: Config, modelPaths: ModelPaths) {
    return config.engines.map((engine) => {
      const name = engineName(engine);
      const path = engine.path ?? modelPaths.get(name);
      if (path === undefined) throw new Error(`no model file for engine ${name}`);
      return { name, part: { engine, path }, create: () => createEngine(engine, path, this.#options.emit) };
    });
  }

  #upstreamParts(config: Config) {
    return config.upstreams.map((upstream) => {
      // Where an upstream stands matters to routes, not to its connections.
      const { apiKey, region, privacy, ...part } = upstream;
      const options = { ...part, ...(apiKey === undefined ? {} : { apiKey }) };
      const create = () => createUpstream({ ...options, emit: this.#options.emit });
      return { name: upstream.name, part: options, create };
    });
  }

  /** An engine with new settings takes over once it can: until then, and if it never can, the old one serves. */
  async #replacementsReady(engines: ReadonlyMap<string, Made<Engine>>): Promise<void> {
    const replacements = [...engines].filter(([name, { backend }]) => {
      const current = this.#engines.get(name);
      return current !== undefined && current.backend !== backend;
    });
    await Promise.all(replacements.map(([, { backend }]) => backend.ready));
  }

  #adopt(
    config: Config,
    engines: Map<string, Made<Engine>>,
    upstreams: Map<string, Made<UpstreamBackend>>,
  ): string {
    const before = this.backends;
    const modelsBefore = new Set(this.#routes.keys());
    this.#config = config;
    this.#engines = engines;
    this.#upstreams = upstreams;
    for (const name of this.#drained) if (!upstreams.has(name)) this.#drained.delete(name);
    this.#reroute();
    const after = this.backends;
    const gone = before.filter((backend) => !after.includes(backend));
    for (const backend of gone) this.#retirement.add(backend);
    return [
      changeText('backends', before.map(nameOf), after.map(nameOf)),
      `${gone.filter(({ name }) => after.some((backend) => backend.name === name)).length} of them replaced`,
      changeText('models', [...modelsBefore], [...this.#routes.keys()]),
    ].join('; ');
  }

  #reroute(): void {
    const config = this.#config;
    if (config === undefined) return;
    for (const [name, { backend }] of this.#upstreams) {
      backend.drained = this.#drained.has(name);
      backend.expect(expectedModels(config, name));
    }
    this.#routes = buildRoutes(config, this.#engineBackends(), this.#upstreamBackends(), this.#routes);
    this.#options.onRoutes(this.#routes);
  }

  #engineBackends(): Engine[] {
    return [...this.#engines.values()].map(({ backend }) => backend);
  }

  #upstreamBackends(): UpstreamBackend[] {
    return [...this.#upstreams.values()].map(({ backend }) => backend);
  }
}

function nameOf({ name }: AnyBackend): string {
  return name;
}

/** What the configuration wants an upstream to serve. */
function expectedModels(config: Config, upstream: string): string[] {
  return config.models.flatMap(({ name, deployments }) =>
    deployments.filter((entry) => entry.upstream === upstream).map((entry) => entry.model ?? name),
  );
}

function changeText(what: string, before: readonly string[], after: readonly string[]): string {
  const added = after.filter((name) => !before.includes(name));
  const removed = before.filter((name) => !after.includes(name));
  const list = (names: readonly string[]) => (names.length === 0 ? 'none' : names.join(', '));
  return `${what}: ${after.length}, added ${list(added)}, removed ${list(removed)}`;
}
