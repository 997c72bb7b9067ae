import { expect, it } from 'vitest';
import type { CanaryReport } from '../../src/core/report.ts';
import { eventually, isWhole, type ServedFleet, serveFleet } from '../resilience/fleet.ts';

/** `a` is stable, `b` is on trial. */
function model(canary: object, extra: object = {}) {
  return {
    deployments: [
      { upstream: 'a', model: 'fake-model' },
      { upstream: 'b', model: 'fake-model', canary: { minRequests: 20, ...canary } },
    ],
    ...extra,
  };
}

async function canaries({ url }: ServedFleet): Promise<CanaryReport[]> {
  const reply = await fetch(`${url}/admin/canaries`);
  return ((await reply.json()) as { canaries: CanaryReport[] }).canaries;
}

async function askUntil(fleet: ServedFleet, done: () => Promise<boolean>, most = 400): Promise<void> {
  for (let asked = 0; asked < most; asked += 8) {
    if (await done()) return;
    const replies = await Promise.all(Array.from({ length: 8 }, () => fleet.ask()));
    expect(replies.filter((reply) => !isWhole(reply))).toEqual([]);
  }
  throw new Error('it did not come to pass');
}

const rolledBack = (fleet: ServedFleet) => async () => (await canaries(fleet))[0]?.state === 'rolled-back';

it('a canary that fails is rolled back, and no client sees it', async () => {
  const fleet = await serveFleet([{}, { status: 500 }], { model: model({ share: 0.5 }) });
  await askUntil(fleet, rolledBack(fleet));
  expect(await canaries(fleet)).toMatchObject([
    { model: 'm', deployment: 'b/fake-model', share: 0, configuredShare: 0.5, errorRate: 1 },
  ]);
  expect(await fleet.metric('qianmen_canary_rollbacks_total')).toBe(1);
  const seen = fleet.fakes[1]!.requests.length;
  await Promise.all(Array.from({ length: 20 }, () => fleet.ask()));
  expect(fleet.fakes[1]!.requests.length).toBe(seen);
});

it('a canary that is slow is rolled back, and an operator may try it again', async () => {
  const fleet = await serveFleet([{ ttftMs: 10 }, { ttftMs: 60 }], { model: model({ share: 0.5 }) });
  await askUntil(fleet, rolledBack(fleet));
  expect((await canaries(fleet))[0]?.detail).toMatch(/times as long/);
  const resume = (name: string) =>
    fetch(`${fleet.url}/admin/canaries/${encodeURIComponent(name)}/resume`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
  expect((await resume('c/fake-model')).status).toBe(404);
  expect((await resume('b/fake-model')).status).toBe(200);
  expect(await canaries(fleet)).toMatchObject([{ state: 'on-trial', share: 0.5, requests: 0 }]);
});

it('a canary gets its share of requests, whatever the policy thinks of it', async () => {
  for (const policy of ['balanced', 'round-robin', 'lowest-cost']) {
    const fleet = await serveFleet([{}, {}], {
      model: model({ share: 0.25, maxTtftRatio: 100 }, { policy }),
    });
    for (let i = 0; i < 200; i += 1) await fleet.ask();
    const got = fleet.fakes[1]!.requests.length;
    expect(got).toBeGreaterThan(25);
    expect(got).toBeLessThan(80);
  }
});

it('a session stays on its side', async () => {
  const fleet = await serveFleet([{}, {}], { model: model({ share: 0.5, maxTtftRatio: 100 }) });
  for (let session = 0; session < 20; session += 1) {
    const before = fleet.fakes.map(({ requests }) => requests.length);
    for (let i = 0; i < 3; i += 1) await fleet.ask({ headers: { 'x-qianmen-session': `s-${session}` } });
    const got = fleet.fakes.map(({ requests }, i) => requests.length - before[i]!);
    expect(got.toSorted()).toEqual([0, 3]);
  }
  for (const fake of fleet.fakes) expect(fake.requests.length).toBeGreaterThan(0);
});

it('a canary serves the rest only when nothing else does', async () => {
  const fleet = await serveFleet([{}, {}], { model: model({ share: 0 }) });
  for (let i = 0; i < 20; i += 1) await fleet.ask();
  expect(fleet.fakes[1]!.requests).toEqual([]);
  await fleet.fakes[0]!.close();
  const replies = [];
  for (let i = 0; i < 10; i += 1) replies.push(await fleet.ask());
  expect(replies.filter((reply) => !isWhole(reply))).toEqual([]);
  await eventually('nothing is left', () => fleet.running.gateway.inFlight === 0);
});

it('decisions tell which trial a request fell to, and why it stayed away from one', async () => {
  const fleet = await serveFleet([{}, { status: 500 }], { model: model({ share: 0.5 }) });
  const parts = async () => {
    const reply = await fetch(`${fleet.url}/admin/decisions?limit=500`);
    const { decisions } = (await reply.json()) as {
      decisions: { trials: { deployment: string; part: string }[]; choices: { chosen: string }[] }[];
    };
    // One that is drawn may find the canary down; the others never go there.
    for (const { trials, choices } of decisions)
      if (trials[0]?.part !== 'drawn')
        expect(choices.map(({ chosen }) => chosen)).not.toContain('b/fake-model');
    return new Set(decisions.map(({ trials }) => trials[0]?.part));
  };
  await askUntil(fleet, async () => (await parts()).size === 2);
  expect(await parts()).toEqual(new Set(['drawn', 'not-drawn']));
  await askUntil(fleet, rolledBack(fleet));
  await fleet.ask();
  expect(await parts()).toContain('rolled-back');
});
