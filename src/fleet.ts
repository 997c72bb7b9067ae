import { engineName } from '../config/engine.ts';
import type { Config } from '../config/schema.ts';
import type { UpstreamAdmin, UpstreamView } from './api/admin/upstream-routes.ts';
import type { Deployment } from './core/deployment.ts';
import type { Emit } from './core/event.ts';
import { createEngine } from './engines.ts';
import type { Route } from './gateway/gateway.ts';
import { Retirement } from './retirement.ts';
import { buildRoutes } from './routes.ts';
import { UpstreamGroup } from './upstream/group.ts';
import { type Resolver, SYSTEM_RESOLVER } from './upstream/resolver.ts';
import type { UpstreamBackend } from './upstream/upstream.ts';

type AnyBackend = Deployment['backend'];
type Engine = ReturnType<typeof createEngine>;
type Routes = ReadonlyMap<string, Route>;

export interface FleetOptions {
  readonly emit: Emit;
  /** Called whenever the public models, or where they are served, have changed. */
  readonly onRoutes: (routes: Routes) => void;
  readonly resolver?: Resolver;
}

/** Something that serves, and the part of the configuration that it was made from. */
interface Made<T> {
  readonly key: string;
  readonly made: T;
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
export class Fleet implements UpstreamAdmin {
  readonly #options: FleetOptions;
  readonly #retirement = new Retirement();
  /** Names of members or of whole entries. */
  readonly #drained = new Set<string>();
  /** Which entry a member came from, also after it has left. */
  readonly #entries = new WeakMap<AnyBackend, string>();
  #engines = new Map<string, Made<Engine>>();
  #groups = new Map<string, Made<UpstreamGroup>>();
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
    return [...this.#engineBackends(), ...this.#groupList().flatMap(({ members }) => members)];
  }

  /** Those that only finish what they have begun. */
  get leaving(): readonly AnyBackend[] {
    return this.#retirement.backends;
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
    const started: { close(): Promise<void> }[] = [];
    const make = <T extends { close(): Promise<void> }>(
      current: ReadonlyMap<string, Made<T>>,
      parts: readonly { name: string; part: object; create: () => T }[],
    ): Map<string, Made<T>> =>
      new Map(
        parts.map(({ name, part, create }) => {
          const key = JSON.stringify(part);
          const kept = current.get(name);
          if (kept?.key === key) return [name, kept];
          const made = create();
          started.push(made);
          return [name, { key, made }];
        }),
      );
    try {
      const engines = make(this.#engines, this.#engineParts(config, modelPaths));
      const groups = make(this.#groups, this.#groupParts(config));
      await Promise.all([
        this.#replacementsReady(engines),
        ...[...groups.values()].map(({ made }) => made.settled),
      ]);
      return this.#adopt(config, engines, groups);
    } catch (error) {
      await Promise.all(started.map((part) => part.close()));
      throw error;
    }
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
    const parts = [...this.#engineBackends(), ...this.#groupList()];
    await Promise.all([this.#retirement.close(), ...parts.map((part) => part.close())]);
  }

  /** The whole entry stands for its members; one member of a drained entry leaves the others drained. */
  #undrain(name: string, { name: entry, members }: UpstreamGroup): void {
    if (this.#drained.delete(entry)) for (const member of members) this.#drained.add(member.name);
    for (const member of members)
      if (name === entry || name === member.name) this.#drained.delete(member.name);
  }

  #engineParts(config: Config, modelPaths: ModelPaths) {
    return config.engines.map((engine) => {
      const name = engineName(engine);
      const path = engine.path ?? modelPaths.get(name);
      if (path === undefined) throw new Error(`no model file for engine ${name}`);
      return { name, part: { engine, path }, create: () => createEngine(engine, path, this.#options.emit) };
    });
  }

  #groupParts(config: Config) {
    const { emit, resolver = SYSTEM_RESOLVER } = this.#options;
    return config.upstreams.map((entry) => {
      // Where an upstream stands matters to routes, not to its connections.
      const { apiKey, region, privacy, discovery, ...rest } = entry;
      const upstream = { ...rest, ...(apiKey === undefined ? {} : { apiKey }), emit };
      const create = () => {
        const group: UpstreamGroup = new UpstreamGroup({
          upstream,
          discovery,
          resolver,
          onChange: (gone) => this.#membersChanged(group, gone),
        });
        return group;
      };
      return { name: entry.name, part: { ...upstream, discovery }, create };
    });
  }

  /** An engine with new settings takes over once it can: until then, and if it never can, the old one serves. */
  async #replacementsReady(engines: ReadonlyMap<string, Made<Engine>>): Promise<void> {
    const replacements = [...engines].filter(([name, { made }]) => {
      const current = this.#engines.get(name);
      return current !== undefined && current.made !== made;
    });
    await Promise.all(replacements.map(([, { made }]) => made.ready));
  }

  #adopt(
    config: Config,
    engines: Map<string, Made<Engine>>,
    groups: Map<string, Made<UpstreamGroup>>,
  ): string {
    const before = this.backends;
    const groupsBefore = this.#groupList();
    const modelsBefore = [...this.#routes.keys()];
    this.#config = config;
    this.#engines = engines;
    this.#groups = groups;
    for (const group of groupsBefore) if (!this.#groupList().includes(group)) group.stop();
    this.#reroute();
    const after = this.backends;
    const gone = before.filter((backend) => !after.includes(backend));
    for (const backend of gone) this.#retirement.add(backend);
    return changesText(before, after, modelsBefore, [...this.#routes.keys()]);
  }

  #membersChanged(group: UpstreamGroup, gone: readonly UpstreamBackend[]): void {
    if (this.#groups.get(group.name)?.made === group) this.#reroute();
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
    this.#routes = buildRoutes(config, this.#engineBackends(), this.#groupList(), this.#routes);
    this.#options.onRoutes(this.#routes);
  }

  #engineBackends(): Engine[] {
    return [...this.#engines.values()].map(({ made }) => made);
  }

  #groupList(): UpstreamGroup[] {
    return [...this.#groups.values()].map(({ made }) => made);
  }
}

function viewOf(upstream: UpstreamBackend, entry: string, leaving: boolean): UpstreamView {
  const { name, drained, served, missing } = upstream;
  const health = upstream.health();
  return { name, entry, leaving, drained, health, models: served ?? null, missingModels: missing };
}

function isUpstream(backend: AnyBackend): backend is UpstreamBackend {
  return backend.kind === 'upstream';
}

/** What the configuration wants an upstream to serve. */
function expectedModels(config: Config, upstream: string): string[] {
  return config.models.flatMap(({ name, deployments }) =>
    deployments.filter((entry) => entry.upstream === upstream).map((entry) => entry.model ?? name),
  );
}

function changesText(
  before: readonly AnyBackend[],
  after: readonly AnyBackend[],
  modelsBefore: readonly string[],
  modelsAfter: readonly string[],
): string {
  const [old, now] = [before.map(({ name }) => name), after.map(({ name }) => name)];
  const kept = after.filter((backend) => before.includes(backend));
  const replaced = after.filter((backend) => old.includes(backend.name) && !kept.includes(backend));
  const list = (names: readonly string[]) => names.join(', ') || 'none';
  const without = (names: readonly string[], others: readonly string[]) =>
    list(names.filter((name) => !others.includes(name)));
  return [
    `backends kept: ${list(kept.map(({ name }) => name))}`,
    `replaced: ${list(replaced.map(({ name }) => name))}`,
    `added: ${without(now, old)}`,
    `removed: ${without(old, now)}`,
    `models added: ${without(modelsAfter, modelsBefore)}`,
    `removed: ${without(modelsBefore, modelsAfter)}`,
  ].join('; ');
}
