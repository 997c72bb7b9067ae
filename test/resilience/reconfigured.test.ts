import { expect, it } from 'vitest';
import { eventually, isWhole, serveFleet } from './fleet.ts';

const ONE_PLACE = { upstream: { concurrency: { initial: 1, max: 1 } } };

it('requests that wait in line go where the configuration says by then', async () => {
  const fleet = await serveFleet([{ ttftMs: 400 }, { ttftMs: 400 }], ONE_PLACE);
  // The first request of an operator takes long: what serves it is loaded for it.
  await fetch(`${fleet.url}/admin/upstreams`);
  const asked = Promise.all(Array.from({ length: 6 }, () => fleet.ask()));
  await eventually('four wait', () => fleet.model().queued === 4);
  const drained = await fetch(`${fleet.url}/admin/upstreams/a/drain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  expect(drained.status).toBe(200);
  expect((await asked).filter(isWhole)).toHaveLength(6);
  expect(fleet.fakes.map((fake) => fake.requests.length)).toEqual([1, 5]);
  await fleet.idle();
});
