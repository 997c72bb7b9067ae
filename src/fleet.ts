import { engineName } from '../config/engine.ts';
import type { Config } from '../config/schema.ts';
import type { Fleet as RoutingKnowledge } from '../routers/fleet.ts';
import type { UpstreamView } from './api/admin/upstream-report.ts';
import { changesText } from './changes-text.ts';
import type { Deployment } from './core/deployment.ts';
import type { Emit } from './core/event.ts';
import { expectedModels } from './expected-models.ts';
import type { Route } from './gateway/route.ts';
import type { LocalBackend } from './local/local-backends.ts';
import type { LoadReason } from './local/local-model.ts';
import { type LocalModelPlan, LocalModels, type WantedModel } from './local/local-models.ts';
import { MemoryBudget, memoryLimit } from './local/memory-budget.ts';
import { OperatorModels } from './local/operator-models.ts';
import { Retirement } from './retirement.ts';
import { buildRoutes } from './routes.ts';
import { UpstreamGroup } from './upstream/group.ts';
import { type Resolver, SYSTEM_RESOLVER } from './upstream/resolver.ts';
import type { ServerLoads } from './upstream/server-load.ts';
import type { UpstreamBackend } from './upstream/upstream.ts';

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

/** Upstreams, and the part of the configuration that they were made from. */
interface MadeGroup {
  readonly key: string;
  readonly group: UpstreamGroup;
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
  /** Names of members or of whole entries. */
  readonly #drained = new Set<string>();
  /** Which entry a member came from, also after it has left. */
  readonly #entries = new WeakMap<AnyBackend, string>();
  readonly memory = new MemoryBudget(() => memoryLimit(this.#config?.memoryBudgetBytes));
  readonly operatorModels = new OperatorModels();
  readonly #locals: LocalModels;
  #groups = new Map<string, MadeGroup>();
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
  }

  get routes(): Routes {
    return this.#routes;
  }

  /** Those that serve. */
  get backends(): readonly AnyBackend[] {
    return [...this.localModels, ...this.#groupList().flatMap(({ members }) => members)];
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
    const groups = this.#planGroups(config);
    const before = this.#config;
    try {
      // The memory that models may take is the new configuration's from here on.
      this.#config = config;
      await Promise.all([
        this.#locals.start(locals, reason),
        ...[...groups.values()].map(({ group }) => group.settled),
      ]);
    } catch (error) {
      this.#config = before;
      const fresh = [...groups.values()].filter(({ group }) => !this.#groupList().includes(group));
      await Promise.all([...locals.fresh, ...fresh.map(({ group }) => group)].map((part) => part.close()));
      throw error;
    }
    this.#modelPaths = modelPaths;
    this.operatorModels.prune(config.engines);
    return this.#adopt(config, locals, groups);
  }

  upstreams(): readonly UpstreamView[] {
    const serving = this.#groupList().flatMap(({ name, members }) =>
      members.map((member) => viewOf(member, name, false)),
    );
    const leaving = this.leaving
      .filter(isUpstream)
      .map((member) => viewOf(member, this.#entries.get(member) ?? member.name, true));
    return [...serving, ...leaving];
  }

  /** No new requests for a member, or for all of an entry; or again some. Not kept over a restart. */
  setDrained(name: string, drained: boolean): boolean {
    const group = this.#groupList().find(
      (candidate) => candidate.name === name || candidate.members.some((member) => member.name === name),
    );
    if (group === undefined) return false;
    if (drained) this.#drained.add(name);
    else this.#undrain(name, group);
    this.#reroute();
    return true;
  }

  async close(): Promise<void> {
    const parts = [...this.localModels, ...this.#groupList()];
    await Promise.all([this.#retirement.close(), ...parts.map((part) => part.close())]);
  }

  /** The whole entry stands for its members; one member of a drained entry leaves the others drained. */
  #undrain(name: string, { name: entry, members }: UpstreamGroup): void {
    if (this.#drained.delete(entry)) for (const member of members) this.#drained.add(member.name);
    for (const member of members)
      if (name === entry || name === member.name) this.#drained.delete(member.name);
  }

  /** What a server says of itself concerns every deployment there. */
  readonly #correct = (upstream: string, loads: ServerLoads): void => {
    for (const { model } of this.#routes.values())
      for (const deployment of model.deployments) {
        if (deployment.backend.name !== upstream) continue;
        const load = loads.get(deployment.model) ?? loads.get(undefined);
        if (load) this.#options.knowledge.scraped(deployment.id, load, performance.now());
      }
  };

  #planGroups(config: Config): Map<string, MadeGroup> {
    const { emit, resolver = SYSTEM_RESOLVER } = this.#options;
    return new Map(
      config.upstreams.map((entry) => {
        // Where an upstream stands matters to routes, not to its connections.
        const { apiKey, region, privacy, discovery, loads, ...rest } = entry;
        const upstream = {
          ...rest,
          ...(apiKey === undefined ? {} : { apiKey }),
          ...(loads === 'off' ? {} : { loads: { ...loads, onLoads: this.#correct } }),
          emit,
        };
        const key = JSON.stringify({ ...upstream, discovery });
        const kept = this.#groups.get(entry.name);
        if (kept?.key === key) return [entry.name, kept];
        const group: UpstreamGroup = new UpstreamGroup({
          upstream,
          discovery,
          resolver,
          onChange: (gone) => this.#membersChanged(group, gone),
        });
        return [entry.name, { key, group }];
      }),
    );
  }

  #adopt(config: Config, locals: LocalModelPlan, groups: Map<string, MadeGroup>): string {
    const before = this.backends;
    const groupsBefore = this.#groupList();
    const modelsBefore = [...this.#routes.keys()];
    this.#config = config;
    this.#locals.adopt(locals);
    this.#groups = groups;
    for (const group of groupsBefore) if (!this.#groupList().includes(group)) group.stop();
    this.#reroute();
    const after = this.backends;
    const gone = before.filter((backend) => !after.includes(backend));
    for (const backend of gone) this.#retirement.add(backend);
    return changesText(before, after, modelsBefore, [...this.#routes.keys()]);
  }

  #membersChanged(group: UpstreamGroup, gone: readonly UpstreamBackend[]): void {
    if (this.#groups.get(group.name)?.group === group) this.#reroute();
    for (const member of gone) this.#retirement.add(member);
  }

  #reroute(): void {
    const config = this.#config;
    if (config === undefined) return;
    const known = new Set<string>();
    for (const { name, members } of this.#groupList()) {
      const expected = expectedModels(config, name);
      known.add(name);
      for (const member of members) {
        known.add(member.name);
        this.#entries.set(member, name);
        member.drained = this.#drained.has(name) || this.#drained.has(member.name);
        member.expect(expected);
      }
    }
    for (const name of this.#drained) if (!known.has(name)) this.#drained.delete(name);
    this.#routes = buildRoutes(
      config,
      this.localModels,
      this.#groupList(),
      this.#options.knowledge,
      this.#routes,
    );
    const deployments = [...this.#routes.values()].flatMap(({ model }) => model.deployments);
    this.#options.knowledge.retain(new Set(deployments.map(({ id }) => id)));
    this.#options.onRoutes(this.#routes);
  }

  #groupList(): UpstreamGroup[] {
    return [...this.#groups.values()].map(({ group }) => group);
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

function viewOf(upstream: UpstreamBackend, entry: string, leaving: boolean): UpstreamView {
  const { name, drained, served, missing } = upstream;
  const health = upstream.health();
  return { name, entry, leaving, drained, health, models: served ?? null, missingModels: missing };
}

function isUpstream(backend: AnyBackend): backend is UpstreamBackend {
  return backend.kind === 'upstream';
}
