import { expect, it } from 'vitest';
import { eventually, isWhole, serveFleet } from './fleet.ts';

const QUICK = { ttftMs: 20, tokens: 3 };

it('an upstream that has become far slower than its peers is left alone for a while', async () => {
  const fleet = await serveFleet([QUICK, QUICK, QUICK]);
  const ask = () => Promise.all(Array.from({ length: 6 }, () => fleet.ask()));
  for (let i = 0; i < 10; i += 1) await ask();
  expect(fleet.running.gateway.report().backends.map(({ ejections }) => ejections)).toEqual([0, 0, 0]);

  fleet.fakes[1]?.setBehaviour({ ...QUICK, ttftMs: 400 });
  await eventually('it is ejected', async () => (await ask()) && fleet.backend('b').ejections > 0, 20_000);
  expect(fleet.backend('b').health.state).toBe('ready');
  expect(await fleet.metric('qianmen_backend_ejected')).toBe(1);

  const before = fleet.fakes[1]?.requests.length;
  for (let i = 0; i < 4; i += 1) expect((await ask()).filter(isWhole)).toHaveLength(6);
  expect(fleet.fakes[1]?.requests.length).toBe(before);
  await fleet.idle();
});

it('a fleet that slows down as a whole loses nobody', async () => {
  const fleet = await serveFleet([QUICK, QUICK, QUICK]);
  const ask = () => Promise.all(Array.from({ length: 6 }, () => fleet.ask()));
  for (let i = 0; i < 5; i += 1) await ask();
  for (const fake of fleet.fakes) fake.setBehaviour({ ...QUICK, ttftMs: 300 });
  for (let i = 0; i < 6; i += 1) await ask();
  expect(fleet.running.gateway.report().backends.map(({ ejections }) => ejections)).toEqual([0, 0, 0]);
});
