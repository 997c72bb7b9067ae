import { engineName } from '../../config/engine.ts';
import type { Config } from '../../config/schema.ts';
import type { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import type { UpstreamView } from '../api/admin/upstream-report.ts';
import type { Deployment } from '../core/deployment.ts';
import type { Emit } from '../core/event.ts';
import type { Route } from '../gateway/placement/route.ts';
import type { LocalBackend } from '../local/local-backends.ts';
import type { LoadReason } from '../local/local-model-options.ts';
import { type LocalModelPlan, LocalModels, type WantedModel } from '../local/local-models.ts';
import { MemoryBudget, memoryLimit } from '../local/memory-budget.ts';
import { OperatorModels } from '../local/operator-models.ts';
import type { ServerLoads } from '../upstream/health/server-load.ts';
import { type Resolver, SYSTEM_RESOLVER } from '../upstream/resolver.ts';
import type { UpstreamBackend } from '../upstream/upstream.ts';
import { buildRoutes } from './build-routes.ts';
import { changesText } from './changes-text.ts';
import { Retirement } from './retirement.ts';
import { UpstreamGroups, type UpstreamPlan } from './upstream-groups.ts';

type AnyBackend = Deployment['backend'];
type Routes = ReadonlyMap<string, Route>;

export interface FleetOptions {
  readonly emit: Emit;
  /** What the policies learn of deployments. */
  readonly knowledge: RoutingKnowledge;
  /** Called whenever the public models, or where they are served, have changed. */
  readonly onRoutes: (routes: Routes) => void;
  readonly resolver?: Resolver;
  /** For graphs of models that lie where nothing may be written. */
  readonly graphDir?: string;
}

/** Where each engine's model file, or its directory, lies, by engine name. Engines configured with `path` need no entry. */
export type ModelPaths = ReadonlyMap<string, string>;

/**
 * Every backend that the configuration names, and the routes to them. A new configuration is applied as a whole or not at all:
 *
 *   unchanged part ── kept: its connections, breaker and process go on
 *   new part       ── started; one that replaces a model in memory takes over when it is ready
 *   gone part      ── gets nothing new, and is closed once its last request has finished
 */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #retirement = new Retirement();
  readonly memory = new MemoryBudget(() => memoryLimit(this.#config?.memoryBudgetBytes));
  readonly operatorModels = new OperatorModels();
  readonly #locals: LocalModels;
  readonly #upstreams: UpstreamGroups;
  #config: Config | undefined;
  #modelPaths: ModelPaths = new Map();
  #routes: Routes = new Map();
  /** One change at a time, whoever wants it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#locals = new LocalModels({
      emit: options.emit,
      budget: this.memory,
      graphDir: options.graphDir,
    });
    this.#upstreams = new UpstreamGroups({
      emit: options.emit,
      resolver: options.resolver ?? SYSTEM_RESOLVER,
      onLoads: (upstream, loads) => this.#correct(upstream, loads),
      onMembers: () => this.#reroute(),
      onGone: (members) => this.#retire(members),
    });
  }

  get routes(): Routes {
    return this.#routes;
  }

  /** Those that serve. */
  get backends(): readonly AnyBackend[] {
    return [...this.localModels, ...this.#upstreams.members];
  }

  get localModels(): readonly LocalBackend[] {
    return this.#locals.list;
  }

  get leavingLocalModels(): readonly LocalBackend[] {
    return this.leaving.filter((backend): backend is LocalBackend => 'local' in backend);
  }

  /** Of its file or directory. */
  modelPath(name: string): string | undefined {
    return this.#locals.pathOf(name);
  }

  /** The configuration in use. */
  get config(): Config | undefined {
    return this.#config;
  }

  /** Those that only finish what they have begun. */
  get leaving(): readonly AnyBackend[] {
    return this.#retirement.backends;
  }

  /** Resolves when every model that is loaded at the start is ready or has failed for the first time. */
  async enginesSettled(): Promise<void> {
    const due = this.localModels.filter(({ local }) => local.settings.load === 'start');
    await Promise.allSettled(due.map(({ local }) => local.load('start')));
  }

  /**
   * Resolves to what has changed, in words.
   *
   * @throws Error if a part cannot be had; then nothing has changed.
   */
  apply(config: Config, modelPaths: ModelPaths): Promise<string> {
    return this.exclusively(() => this.#apply(config, modelPaths, 'start'));
  }

  /** Applies the configuration again, with what operators want now. To be called exclusively. */
  async applyOperatorModels(): Promise<void> {
    if (this.#config !== undefined) await this.#apply(this.#config, this.#modelPaths, 'operator');
  }

  exclusively<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#last.then(change);
    this.#last = done.catch(() => {});
    return done;
  }

  async #apply(config: Config, modelPaths: ModelPaths, reason: LoadReason): Promise<string> {
    const wanted = this.operatorModels.merge(wantedModels(config, modelPaths));
    const locals = this.#locals.plan(wanted);
    const upstreams = this.#upstreams.plan(config);
    const before = this.#config;
    try {
      // The memory that models may take is the new configuration's from here on.
      this.#config = config;
      await Promise.all([this.#locals.start(locals, reason), upstreams.settled]);
    } catch (error) {
      this.#config = before;
      await Promise.all([...locals.fresh, ...upstreams.fresh].map((part) => part.close()));
      throw error;
    }
    this.#modelPaths = modelPaths;
    this.operatorModels.prune(config.engines);
    return this.#adopt(config, locals, upstreams);
  }

  upstreams(): readonly UpstreamView[] {
    return this.#upstreams.views(this.leaving.filter(isUpstream));
  }

  /**
   * No new requests for a member, or for all of an entry; or again some. Not kept over a restart.
   *
   * @returns Whether there is one of that name.
   */
  setDrained(name: string, drained: boolean): boolean {
    const found = this.#upstreams.setDrained(name, drained);
    if (found) this.#reroute();
    return found;
  }

  async close(): Promise<void> {
    const parts = [...this.localModels, ...this.#upstreams.list];
    await Promise.all([this.#retirement.close(), ...parts.map((part) => part.close())]);
  }

  /** What a server says of itself concerns every deployment there. */
  #correct(upstream: string, loads: ServerLoads): void {
    for (const { model } of this.#routes.values())
      for (const deployment of model.deployments) {
        if (deployment.backend.name !== upstream) continue;
        const load = loads.get(deployment.model) ?? loads.get(undefined);
        if (load) this.#options.knowledge.scraped(deployment.id, load, performance.now());
      }
  }

  #adopt(config: Config, locals: LocalModelPlan, upstreams: UpstreamPlan): string {
    const before = this.backends;
    const modelsBefore = [...this.#routes.keys()];
    this.#config = config;
    this.#locals.adopt(locals);
    this.#upstreams.adopt(upstreams);
    this.#reroute();
    const after = this.backends;
    this.#retire(before.filter((backend) => !after.includes(backend)));
    return changesText(before, after, modelsBefore, [...this.#routes.keys()]);
  }

  #retire(backends: readonly AnyBackend[]): void {
    for (const backend of backends) this.#retirement.add(backend);
  }

  #reroute(): void {
    const config = this.#config;
    if (config === undefined) return;
    this.#upstreams.instruct(config);
    this.#routes = buildRoutes(
      config,
      this.localModels,
      this.#upstreams.list,
      this.#options.knowledge,
      this.#routes,
    );
    const deployments = [...this.#routes.values()].flatMap(({ model }) => model.deployments);
    this.#options.knowledge.retain(new Set(deployments.map(({ id }) => id)));
    this.#options.onRoutes(this.#routes);
  }
}

function wantedModels(config: Config, modelPaths: ModelPaths): WantedModel[] {
  return config.engines.map((settings) => {
    const name = engineName(settings);
    const path = settings.path ?? modelPaths.get(name);
    if (path === undefined) throw new Error(`no model file for engine ${name}`);
    return { settings, path };
  });
}

function isUpstream(backend: AnyBackend): backend is UpstreamBackend {
  return backend.kind === 'upstream';
}
