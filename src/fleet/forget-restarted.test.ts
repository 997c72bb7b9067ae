import { expect, test } from 'vitest';
import { hashPrompt } from '../../routers/prompt-hash.ts';
import { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import type { PublicModel } from '../core/deployment.ts';
import type { EngineStateChanged } from '../core/event.ts';
import { forgetRestarted } from './forget-restarted.ts';

test('what an engine remembered is forgotten when it starts anew, and nothing else', () => {
  const knowledge = new RoutingKnowledge();
  const blocks = hashPrompt('m', 'x'.repeat(4_096));
  const ids = ['a/m', 'b/m'];
  for (const id of ids) knowledge.prefixes.touch(id, blocks);
  const deployments = ids.map((id) => ({ id, backend: { name: id[0] } }));
  const observe = forgetRestarted(knowledge, () => [{ deployments } as unknown as PublicModel]);
  const event: EngineStateChanged = { type: 'engine-state-changed', engine: 'a', state: 'ready', detail: '' };
  observe(event);
  expect(ids.map((id) => knowledge.prefixes.match(id, blocks).blocks)).toEqual([8, 8]);
  observe({ ...event, state: 'starting' });
  expect(ids.map((id) => knowledge.prefixes.match(id, blocks).blocks)).toEqual([0, 8]);
});
