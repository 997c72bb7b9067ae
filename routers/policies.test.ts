import { expect, it } from 'vitest';
import { POLICIES } from './policies.ts';
import { policyContract } from './policy.contract.ts';
import { DEFAULT_SETTINGS, type PolicyFactory } from './policy.ts';
import { RoutingKnowledge } from './routing-knowledge.ts';

const all: [string, PolicyFactory][] = Object.entries(POLICIES);

for (const [, make] of all) policyContract(make);

it('knows every policy by the name that it goes by', () => {
  for (const [name, make] of all)
    expect(make({ knowledge: new RoutingKnowledge(), settings: DEFAULT_SETTINGS }).name).toBe(name);
});
