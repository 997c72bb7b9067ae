import { expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { POLICIES } from './policies.ts';
import { policyContract } from './policy.contract.ts';
import { DEFAULT_SETTINGS, type PolicyFactory } from './policy.ts';

const all: [string, PolicyFactory][] = Object.entries(POLICIES);

for (const [, make] of all) policyContract(make);

it('knows every policy by the name that it goes by', () => {
  for (const [name, make] of all)
    expect(make({ fleet: new Fleet(), settings: DEFAULT_SETTINGS }).name).toBe(name);
});
