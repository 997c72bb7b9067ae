import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, it } from 'vitest';
import { AlarmWebhook, type AlarmWebhookOptions } from '../../src/ledger/alarm-webhook.ts';
import type { BudgetAlarm } from '../../src/ledger/budget-alarms.ts';

const ALARM: BudgetAlarm = {
  subject: 'project',
  subjectId: 'proj_1',
  period: 'month',
  periodName: '2026-01',
  share: 0.85,
  budgetNanoUsd: 1_000,
  spentNanoUsd: 870,
  atMs: 1_769_860_800_123,
};
const SECRET = 'a secret of sixteen';
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

interface Delivery {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers with one status after the other, the last one for good; undefined: not at all. */
async function receiver(...statuses: (number | undefined)[]) {
  const got: Delivery[] = [];
  const server = createServer(async (incoming, outgoing) => {
    got.push({ url: incoming.url, headers: incoming.headers, body: await text(incoming) });
    const status = statuses[Math.min(got.length, statuses.length) - 1];
    if (status !== undefined) outgoing.writeHead(status, { location: '/elsewhere' }).end();
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, got };
}

function webhook(url: string, given: Partial<AlarmWebhookOptions> = {}) {
  const givenUp: string[] = [];
  const hook = new AlarmWebhook({
    url,
    secret: SECRET,
    retryMs: 1,
    maxTries: 4,
    onGivenUp: (_, reason) => givenUp.push(reason),
    ...given,
  });
  return { hook, givenUp };
}

it('brings an alarm, signed with what the receiver knows too', async () => {
  const { url, got } = await receiver(204);
  const { hook, givenUp } = webhook(url, { wall: () => 1_769_860_801_999 });
  await hook.send(ALARM);
  expect(givenUp).toEqual([]);
  expect(got).toHaveLength(1);
  const { headers, body } = got[0]!;
  expect(JSON.parse(body)).toEqual({
    type: 'budget.alarm',
    id: 'budget-project-proj_1-2026-01-0.85-1000',
    created_at: 1_769_860_800,
    data: {
      subject: 'project',
      subject_id: 'proj_1',
      period: 'month',
      period_name: '2026-01',
      share: 0.85,
      budget_nano_usd: 1_000,
      spent_nano_usd: 870,
    },
  });
  expect(headers['x-qianmen-timestamp']).toBe('1769860801');
  const hmac = createHmac('sha256', SECRET).update(`1769860801.${body}`).digest('hex');
  expect(headers['x-qianmen-signature']).toBe(`sha256=${hmac}`);
  expect(body).not.toContain(SECRET);
});

it('tries again under the same name until it is taken', async () => {
  const { url, got } = await receiver(500, 429, 503, 200);
  const { hook, givenUp } = webhook(url);
  await hook.send(ALARM);
  expect(givenUp).toEqual([]);
  expect(got.map(({ headers }) => headers['x-qianmen-delivery'])).toEqual(
    Array(4).fill('budget-project-proj_1-2026-01-0.85-1000'),
  );
});

it('gives up what is never taken, and says why', async () => {
  const failing = await receiver(500);
  const first = webhook(failing.url);
  await first.hook.send(ALARM);
  expect(failing.got).toHaveLength(4);
  expect(first.givenUp).toEqual(['it answered with status 500']);

  const refusing = await receiver(401);
  const second = webhook(refusing.url);
  await second.hook.send(ALARM);
  expect(refusing.got).toHaveLength(1);
  expect(second.givenUp).toEqual(['it answered with status 401']);
});

it('does not go where it is sent on', async () => {
  const { url, got } = await receiver(307);
  const { hook, givenUp } = webhook(url);
  await hook.send(ALARM);
  expect(new Set(got.map(({ url }) => url))).toEqual(new Set(['/hook']));
  expect(givenUp).toEqual(['it answered with status 307']);
});

it('does not wait for a receiver that says nothing', async () => {
  const { url, got } = await receiver(undefined, 200);
  const { hook, givenUp } = webhook(url, { timeoutMs: 1_000 });
  await hook.send(ALARM);
  expect(got).toHaveLength(2);
  expect(givenUp).toEqual([]);
});

it('ends at once when it is closed', async () => {
  const { url, got } = await receiver(500);
  const { hook, givenUp } = webhook(url, { retryMs: 60_000 });
  const sent = hook.send(ALARM);
  await expect.poll(() => got.length).toBe(1);
  hook.close();
  await sent;
  await hook.send(ALARM);
  expect(got).toHaveLength(1);
  expect(givenUp).toHaveLength(2);
});

it('goes over https only, save on this machine', () => {
  for (const url of [
    'http://example.com/',
    'http://127.0.0.1.example.com/',
    'http://10.0.0.1/',
    'ftp://localhost/',
  ])
    expect(() => webhook(url)).toThrow('https');
  for (const url of ['https://example.com/', 'http://localhost:1/', 'http://[::1]:1/', 'http://127.0.0.2/'])
    expect(() => webhook(url)).not.toThrow();
});
