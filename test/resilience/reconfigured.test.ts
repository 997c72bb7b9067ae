import { execFileSync, spawnSync } from 'node:child_process';
import { expect, it, onTestFinished } from 'vitest';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { eventually, isWhole, serveFleet } from './fleet.ts';

const ONE_PLACE = { upstream: { concurrency: { initial: 1, max: 1 } } };

it('requests that wait in line go where the configuration says by then', async () => {
  const fleet = await serveFleet([{ holdAfterEvents: 1 }, { holdAfterEvents: 1 }], ONE_PLACE);
  const asked = Promise.all(Array.from({ length: 6 }, () => fleet.ask()));
  await eventually('four wait', () => fleet.model().queued === 4);
  const drained = await fetch(`${fleet.url}/admin/upstreams/a/drain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  expect(drained.status).toBe(200);
  for (const fake of fleet.fakes) fake.release();
  expect((await asked).filter(isWhole)).toHaveLength(6);
  expect(fleet.fakes.map((fake) => fake.requests.length)).toEqual([1, 5]);
  await fleet.idle();
});

it.skipIf(spawnSync('prlimit', ['--version']).status !== 0)(
  'a configuration that cannot be read for want of file descriptors is read once there are some',
  async () => {
    const serving = (name: string) => ({
      upstreams: [{ name: 'a', url: 'http://127.0.0.1:9/v1' }],
      models: [{ name, deployments: [{ upstream: 'a', model: 'x' }] }],
    });
    const gateway = await startGatewayProcess(serving('before'));
    onTestFinished(() => gateway.kill());
    const allow = (descriptors: number) =>
      execFileSync('prlimit', [`--pid=${gateway.child.pid}`, `--nofile=${descriptors}:`]);
    allow(3);
    gateway.reconfigure(serving('after'));
    // It has looked by then.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    allow(1_000);
    await eventually('it is read', () => gateway.output().includes('models added: after'));
    expect(gateway.output()).not.toContain('EMFILE');
  },
);
