import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { RawConnection } from '../conformance/raw-connection.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, eventually, startGatewayProcess } from '../support/gateway-process.ts';

interface Seen {
  answered: number;
  closes: number;
  readonly lost: string[];
  readonly unheard: string[];
}

/** Asks again and again over connections that it keeps until it is told to close them, until nobody listens any more. */
async function client(url: string, name: string, seen: Seen): Promise<void> {
  let connection: RawConnection | undefined;
  let isNew = true;
  for (let i = 0; ; i++) {
    try {
      isNew = connection === undefined;
      connection ??= await RawConnection.open(url);
    } catch {
      return;
    }
    const id = `${name}-${i}`;
    const body = chatBody('m', { stream: i % 2 === 0 });
    connection.post('/v1/chat/completions', body, { 'x-request-id': id });
    try {
      const reply = await connection.reply();
      const { connection: stay, 'x-request-id': answered } = reply.headers;
      if (reply.status !== 200 || answered !== id) seen.lost.push(`${id}: ${reply.status} ${reply.body}`);
      seen.answered += 1;
      if (stay === 'close') {
        seen.closes += 1;
        connection = undefined;
      }
    } catch (error) {
      // The system takes connections before the gateway does, and breaks them off when it stops to listen.
      if (isNew) seen.unheard.push(id);
      else seen.lost.push(`${id}: ${error}`);
      connection = undefined;
    }
    await sleep(i % 5);
  }
}

it.each([1, 2])('with %i workers, no request is lost when the gateway ends under load', async (workers) => {
  const fake = await startFakeUpstream({ behaviour: { tokens: 10, itlMs: 2 } });
  onTestFinished(() => fake.close());
  const gateway = await startGatewayProcess({
    listen: { workers, drainDelayMs: 2_000 },
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  });
  onTestFinished(() => gateway.kill());
  const seen = Array.from({ length: 20 }, (): Seen => ({ answered: 0, closes: 0, lost: [], unheard: [] }));
  const clients = seen.map((of, i) => client(gateway.url, `c${i}`, of));
  await eventually('all are served', () => seen.every(({ answered }) => answered > 3), 30_000);
  gateway.child.kill('SIGTERM');
  await Promise.all(clients);
  expect(await gateway.exited).toBe(0);
  expect(seen.flatMap(({ lost }) => lost)).toEqual([]);
  const unheard = seen.flatMap((one) => one.unheard);
  expect(fake.requests.filter(({ headers }) => unheard.includes(String(headers['x-request-id'])))).toEqual(
    [],
  );
  for (const { closes } of seen) expect(closes).toBeGreaterThan(0);
});

it('a reply that begins after the order to end says that its connection ends', async () => {
  const fake = await startFakeUpstream({ behaviour: { ttftMs: 700 } });
  onTestFinished(() => fake.close());
  const gateway = await startGatewayProcess({
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  });
  onTestFinished(() => gateway.kill());
  const connection = await RawConnection.open(gateway.url);
  connection.post('/v1/chat/completions', chatBody('m'));
  await eventually('it is at work', () => fake.inFlight() === 1);
  gateway.child.kill('SIGTERM');
  const reply = await connection.reply();
  expect([reply.status, reply.headers.connection]).toEqual([200, 'close']);
  expect(await gateway.exited).toBe(0);
});
