import { expect, it, onTestFinished } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import { RawConnection } from '../conformance/raw-connection.ts';
import { eventually, serveFleet } from '../resilience/fleet.ts';
import { chatBody } from '../support/gateway-process.ts';

const CHAT = '/v1/chat/completions';
const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

async function open(url: string): Promise<RawConnection> {
  const connection = await RawConnection.open(url);
  onTestFinished(() => connection.close());
  return connection;
}

it('one connection carries plain requests, and then others, and then plain ones again', async () => {
  const { url } = await serveFleet([{}]);
  const connection = await open(url);
  for (let round = 0; round < 3; round++) {
    for (const stream of [false, true]) {
      connection.post(CHAT, chatBody('m', { stream }), { 'x-request-id': `r${round}${stream}` });
      const reply = await connection.reply();
      expect([reply.status, reply.headers['x-request-id']]).toEqual([200, `r${round}${stream}`]);
      expect(reply.body).toContain(`chatcmpl-r${round}${stream}`);
    }
    connection.send(get('/metrics') + get('/v1/models'));
    expect((await connection.reply()).body).toContain('qianmen_requests_total');
    expect(JSON.parse((await connection.reply()).body).data).toHaveLength(1);
    connection.post(CHAT, chatBody('m'), { expect: '100-continue' });
    expect((await connection.reply()).status).toBe(100);
    expect((await connection.reply()).status).toBe(200);
  }
});

it('a request that waits behind another for leave to send its body tears no reply', async () => {
  const { url } = await serveFleet([{ itlMs: 50 }]);
  const connection = await open(url);
  // The second is answered before the first.
  for (const tokens of [8, 1]) {
    const body = chatBody('m', { max_tokens: tokens });
    connection.post(CHAT, body, { expect: '100-continue' });
  }
  let whole = 0;
  while (whole < 2) {
    const reply = await connection.reply();
    if (reply.status === 100) continue;
    expect(JSON.parse(reply.body).object).toBe('chat.completion');
    whole += 1;
  }
});

it('an expectation that nobody can meet is refused with a word of why', async () => {
  const { url } = await serveFleet([{}]);
  const connection = await open(url);
  connection.post(CHAT, chatBody('m'), { expect: 'wonders' });
  const { status, headers, body } = await connection.reply();
  expect([status, headers.connection]).toEqual([417, 'close']);
  expect(JSON.parse(body).error).toMatchObject({ code: 'invalid_value', param: null });
});

it('a target that is no path is refused with an error of the API', async () => {
  const { url } = await serveFleet([{}]);
  const connection = await open(url);
  connection.send('OPTIONS * HTTP/1.1\r\nHost: here\r\n\r\n');
  const { status, body } = await connection.reply();
  expect(status).toBe(400);
  expect(JSON.parse(body).error).toMatchObject({ code: 'invalid_value', type: 'invalid_request_error' });
});

it('whoever takes the gateway for a proxy is told, and may not stay', async () => {
  const { url } = await serveFleet([{}]);
  const connection = await open(url);
  connection.send('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n');
  const { status, headers, body } = await connection.reply();
  expect([status, headers.connection]).toEqual([405, 'close']);
  expect(JSON.parse(body).error).toMatchObject({ code: 'method_not_allowed' });
  connection.send('more');
  await eventually('it is cut off', () => connection.socket.destroyed);
});

it('a body of just the size that is allowed is taken, and one byte more is not', async () => {
  const body = chatBody('m');
  const { url } = await serveFleet([{}], { listen: { maxBodyBytes: body.length + 100 } });
  for (const [spaces, status] of [
    [100, 200],
    [101, 413],
  ] as const) {
    const connection = await open(url);
    connection.post(CHAT, body + ' '.repeat(spaces));
    const reply = await connection.reply();
    expect([reply.status, reply.headers.connection]).toEqual([
      status,
      status === 413 ? 'close' : 'keep-alive',
    ]);
  }
});

it('another size and time hold from the next request on, also for connections that are there', async () => {
  const { url, running, fakes } = await serveFleet([{}], { listen: { maxBodyBytes: 5_000 } });
  const connection = await open(url);
  const large = chatBody('m', { user: 'x'.repeat(1_000) });
  connection.post(CHAT, large);
  expect((await connection.reply()).status).toBe(200);
  const config = configSchema.parse({
    listen: { port: 0, maxBodyBytes: 500, requestTimeoutMs: 300 },
    upstreams: [{ name: 'a', url: fakes[0]!.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'a', model: 'fake-model' }] }],
    log: { level: 'silent' },
  });
  expect(await running.reload(async () => ({ config, modelPaths: new Map() }))).toBe(true);
  const slow = await open(url);
  slow.send(
    `POST ${CHAT} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-type: application/json\r\n\r\n{`,
  );
  expect((await slow.reply()).status).toBe(408);
  connection.post(CHAT, chatBody('m'));
  expect((await connection.reply()).status).toBe(200);
  connection.post(CHAT, large);
  expect((await connection.reply()).status).toBe(413);
});

it.each([
  ['while a stream comes', true, { tokens: 5_000, itlMs: 5 }],
  ['before a reply', false, { ttftMs: 30_000 }],
])('a client that resets its connection %s stops the upstream', async (_, stream, behaviour) => {
  const { url, fakes, idle } = await serveFleet([behaviour]);
  const connection = await open(url);
  connection.post(CHAT, chatBody('m', { stream, max_tokens: 5_000 }));
  if (stream) await connection.until('an event', (text) => text.includes('data:'));
  else await eventually('it is at work', () => fakes[0]!.inFlight() === 1);
  connection.socket.resetAndDestroy();
  await eventually('it has stopped', () => fakes[0]!.inFlight() === 0, 5_000);
  expect(fakes[0]!.requests[0]?.aborted).toBe(true);
  await idle();
});

/** Counts who listens to which signal, for as long as the test runs. */
function watchListeners() {
  const listeners = new Map<AbortSignal, Set<unknown>>();
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    if (this instanceof AbortSignal && type === 'abort') {
      const known = listeners.get(this) ?? new Set();
      listeners.set(this, known.add(listener));
    }
    addEventListener.call(this, type, listener, options);
  };
  EventTarget.prototype.removeEventListener = function (type, listener, options) {
    if (this instanceof AbortSignal) {
      listeners.get(this)?.delete(listener);
      if (listeners.get(this)?.size === 0) listeners.delete(this);
    }
    removeEventListener.call(this, type, listener, options);
  };
  onTestFinished(() => void Object.assign(EventTarget.prototype, { addEventListener, removeEventListener }));
  return {
    /** That were not aborted: there it does not matter. */
    count: () => [...listeners].reduce((sum, [signal, { size }]) => sum + (signal.aborted ? 0 : size), 0),
  };
}

it('nobody listens any more to a connection after thousands of requests', async () => {
  const { url, metric } = await serveFleet([{ ttftMs: 1 }, { ttftMs: 1 }], { model: { hedge: true } });
  const fast = await open(url);
  const watched = watchListeners();
  const kinds = [
    chatBody('m'),
    chatBody('m', { stream: true }),
    chatBody('nobody'),
    '{',
    chatBody('m', { stream: true, max_tokens: 1 }),
  ];
  const warm = watched.count();
  for (let i = 0; i < 2_000; i += 50) {
    for (let k = 0; k < 50; k++)
      fast.post(CHAT, kinds[k % kinds.length]!, k % 3 === 0 ? { 'x-qianmen-timeout-ms': '30000' } : {});
    for (let k = 0; k < 50; k++) await fast.reply();
  }
  await eventually('nobody listens', () => watched.count() <= warm + 2);
  expect(await metric('qianmen_requests_in_flight')).toBe(0);
}, 120_000);

it('nobody listens any more after hedged requests', async () => {
  const quick = { ttftMs: 20, tokens: 3 };
  const fleet = await serveFleet([quick, quick], { model: { hedge: true } });
  const connection = await open(fleet.url);
  const ask = async () => {
    connection.post(CHAT, chatBody('m', { stream: true }));
    expect((await connection.reply()).status).toBe(200);
  };
  const { hedges } = fleet.model();
  const isEarned = () => fleet.model().hedges.available > 0;
  for (let i = 0; i < 12 || !isEarned(); i++)
    await Promise.all(Array.from({ length: 10 }, () => fleet.ask()));
  const watched = watchListeners();
  fleet.fakes[0]!.setBehaviour({ ttftMs: 20_000 });
  while (fleet.model().hedges.won === hedges.won) await ask();
  await eventually('nobody listens', () => watched.count() <= 2);
  await fleet.idle();
});
