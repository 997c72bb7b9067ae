import { expect, test } from 'vitest';
import type { Backend } from '../../core/backend.ts';
import type { Timing } from '../backend/model-timings.ts';
import type { Tenant } from '../request/tenant.ts';
import { Lane } from './lane.ts';

const tenant = (projectId: string): Tenant => ({ projectId, weight: 1, priority: 0 });
const timing = { predictMs: () => 100, p95Ms: () => undefined } as unknown as Timing;

test.each([
  ['whose limit is found out', { concurrency: { initial: 64, max: 64 } }],
  ['that says how many it works on', { places: 64 }],
])('whoever comes to a backend %s is counted among those inside', (_, bounds) => {
  const health = () => ({ state: 'ready', inFlight: 0, queued: 0 });
  const lane = new Lane(
    { name: 'a', kind: 'engine', health, ...bounds } as unknown as Backend,
    () => 0,
    () => 0.5,
  );
  const enter = (projectId: string) => lane.enter(tenant(projectId), false, timing, 10, true);
  const among = ['other', 'loud', 'loud'].map((projectId) => enter(projectId).entry.among);
  expect(among).toEqual([1, 2, 3]);
});
