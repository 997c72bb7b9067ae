import type { Config } from '../../config/schema.ts';
import type { UpstreamView } from '../api/admin/upstream-report.ts';
import type { Emit } from '../core/event.ts';
import { UpstreamGroup } from '../upstream/group.ts';
import type { ServerLoads } from '../upstream/health/server-load.ts';
import type { Resolver } from '../upstream/resolver.ts';
import type { UpstreamBackend } from '../upstream/upstream.ts';
import { expectedModels } from './expected-models.ts';

export interface UpstreamGroupsOptions {
  readonly emit: Emit;
  readonly resolver: Resolver;
  /** What a server says of its own load. */
  readonly onLoads: (upstream: string, loads: ServerLoads) => void;
  /** The members of a group that serves have changed. */
  readonly onMembers: () => void;
  /** These get no new requests any more, and are to be closed once they have finished. */
  readonly onGone: (members: readonly UpstreamBackend[]) => void;
}

/** Upstreams, and the part of the configuration that they were made from. */
interface Made {
  readonly key: string;
  readonly group: UpstreamGroup;
}

/** What will serve once it is adopted. */
export interface UpstreamPlan {
  readonly made: ReadonlyMap<string, Made>;
  /** Those that do not serve yet. */
  readonly fresh: readonly UpstreamGroup[];
  /** Resolves once the members of each are known, cannot be found, or take too long. */
  readonly settled: Promise<unknown>;
}

/** The upstreams that serve, by name. Another set of them is planned, and then adopted or given up as a whole. */
export class UpstreamGroups {
  readonly #options: UpstreamGroupsOptions;
  /** Names of members or of whole entries. */
  readonly #drained = new Set<string>();
  /** Which entry a member came from, also after it has left. */
  readonly #entries = new WeakMap<UpstreamBackend, string>();
  #made: ReadonlyMap<string, Made> = new Map();

  constructor(options: UpstreamGroupsOptions) {
    this.#options = options;
  }

  get list(): readonly UpstreamGroup[] {
    return [...this.#made.values()].map(({ group }) => group);
  }

  get members(): readonly UpstreamBackend[] {
    return this.list.flatMap(({ members }) => members);
  }

  /** Whatever is configured as before stays as it is. */
  plan(config: Config): UpstreamPlan {
    const { emit, resolver, onLoads } = this.#options;
    const made = new Map<string, Made>();
    const fresh: UpstreamGroup[] = [];
    for (const entry of config.upstreams) {
      // Where an upstream stands matters to routes, not to its connections.
      const { apiKey, region, privacy, discovery, loads, ...rest } = entry;
      const upstream = {
        ...rest,
        ...(apiKey === undefined ? {} : { apiKey }),
        ...(loads === 'off' ? {} : { loads: { ...loads, onLoads } }),
        emit,
      };
      const key = JSON.stringify({ ...upstream, discovery });
      const kept = this.#made.get(entry.name);
      if (kept?.key === key) {
        made.set(entry.name, kept);
        continue;
      }
      const group: UpstreamGroup = new UpstreamGroup({
        upstream,
        discovery,
        resolver,
        onChange: (gone) => this.#membersChanged(group, gone),
      });
      fresh.push(group);
      made.set(entry.name, { key, group });
    }
    return { made, fresh, settled: Promise.all([...made.values()].map(({ group }) => group.settled)) };
  }

  adopt({ made }: UpstreamPlan): void {
    const before = this.list;
    this.#made = made;
    for (const group of before) if (!this.list.includes(group)) group.stop();
  }

  /** Tells the members what they are to serve, and whether they are to serve. */
  instruct(config: Config): void {
    const known = new Set<string>();
    for (const { name, members } of this.list) {
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
  }

  /**
   * For a member, or for all of an entry; the next `instruct` tells them.
   *
   * @returns Whether there is one of that name.
   */
  setDrained(name: string, drained: boolean): boolean {
    const group = this.list.find(
      (candidate) => candidate.name === name || candidate.members.some((member) => member.name === name),
    );
    if (group === undefined) return false;
    if (drained) this.#drained.add(name);
    else this.#undrain(name, group);
    return true;
  }

  views(leaving: readonly UpstreamBackend[]): readonly UpstreamView[] {
    const serving = this.list.flatMap(({ name, members }) =>
      members.map((member) => viewOf(member, name, false)),
    );
    return [
      ...serving,
      ...leaving.map((member) => viewOf(member, this.#entries.get(member) ?? member.name, true)),
    ];
  }

  /** The whole entry stands for its members; one member of a drained entry leaves the others drained. */
  #undrain(name: string, { name: entry, members }: UpstreamGroup): void {
    if (this.#drained.delete(entry)) for (const member of members) this.#drained.add(member.name);
    for (const member of members)
      if (name === entry || name === member.name) this.#drained.delete(member.name);
  }

  #membersChanged(group: UpstreamGroup, gone: readonly UpstreamBackend[]): void {
    const { onMembers, onGone } = this.#options;
    if (this.#made.get(group.name)?.group === group) onMembers();
    onGone(gone);
  }
}

function viewOf(upstream: UpstreamBackend, entry: string, leaving: boolean): UpstreamView {
  const { name, drained, served, missing } = upstream;
  const health = upstream.health();
  return { name, entry, leaving, drained, health, models: served ?? null, missingModels: missing };
}
