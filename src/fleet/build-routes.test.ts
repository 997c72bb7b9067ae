import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../config/load.ts';
import { DEFAULT_SETTINGS } from '../../routers/policy.ts';
import { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import { unresolvedUpstream } from '../upstream/unresolved.ts';
import { buildRoutes } from './build-routes.ts';

const CONFIG = checkConfig(
  {
    upstreams: [
      { name: 'a', url: 'http://a.test/v1', region: 'here', privacy: 'private' },
      { name: 'b', url: 'http://b.test/v1' },
    ],
    models: [
      {
        name: 'm',
        deployments: [
          { upstream: 'a', model: 'big', price: { inputUsdPerMTok: 1, outputUsdPerMTok: 2 } },
          { upstream: 'b' },
        ],
      },
    ],
  },
  'test',
);

function group(name: string, members: readonly string[], drained: readonly string[] = []) {
  return {
    name,
    members: members.map((member) => {
      const upstream = unresolvedUpstream(member, '');
      upstream.drained = drained.includes(member);
      return upstream;
    }),
  };
}

function ids(routes: ReturnType<typeof buildRoutes>): string[] {
  return (routes.get('m')?.model.deployments ?? []).map(({ id }) => id);
}

describe('routes', () => {
  it('name every member of an upstream, each with what the configuration says of all', () => {
    const routes = buildRoutes(
      CONFIG,
      [],
      [group('a', ['a@1', 'a@2']), group('b', ['b'])],
      new RoutingKnowledge(),
    );
    expect(ids(routes)).toEqual(['a@1/big', 'a@2/big', 'b/m']);
    const [first, second, last] = routes.get('m')?.model.deployments ?? [];
    for (const deployment of [first, second])
      expect(deployment).toMatchObject({
        region: 'here',
        privacy: 'private',
        price: { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 1, outputUsdPerMTok: 2 },
      });
    expect(last).toMatchObject({ privacy: 'public', price: undefined });
  });

  it('leave out what is drained, although nothing else may be up, but never everything', () => {
    const some = buildRoutes(
      CONFIG,
      [],
      [group('a', ['a@1', 'a@2'], ['a@1']), group('b', ['b'], ['b'])],
      new RoutingKnowledge(),
    );
    expect(ids(some)).toEqual(['a@2/big']);
    const all = buildRoutes(
      CONFIG,
      [],
      [group('a', ['a'], ['a']), group('b', ['b'], ['b'])],
      new RoutingKnowledge(),
    );
    expect(ids(all)).toEqual(['a/big', 'b/m']);
  });

  it('keep the policy and the age of a model that was there before', () => {
    const groups = [group('a', ['a']), group('b', ['b'])];
    const before = buildRoutes(CONFIG, [], groups, new RoutingKnowledge());
    const after = buildRoutes(CONFIG, [], groups, new RoutingKnowledge(), before);
    expect(after.get('m')?.policy).toBe(before.get('m')?.policy);
    expect(buildRoutes(CONFIG, [], groups, new RoutingKnowledge()).get('m')?.policy).not.toBe(
      before.get('m')?.policy,
    );
  });
});

it('policies get by default the settings that they are measured with', () => {
  const [{ weights, slo, exploration } = {}] = CONFIG.models;
  expect({ weights, slo, exploration }).toEqual(DEFAULT_SETTINGS);
});
