import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/gateway-process.ts';
import { RawConnection, type RawReply } from './raw-connection.ts';
import { type ServedByFake, serveRelayed } from './server.ts';

const MAX_BODY_BYTES = 1_000_000;
const CHAT = '/v1/chat/completions';

/** What a client sees that writes HTTP by hand. */
describe('HTTP on a raw socket', () => {
  let served: ServedByFake;
  let connection: RawConnection;

  beforeAll(async () => {
    served = await serveRelayed({
      maxBodyBytes: MAX_BODY_BYTES,
      cors: { origins: ['https://ui.example'] },
      requestTimeoutMs: 1_000,
    });
  });
  beforeEach(async () => {
    served.fake.setBehaviour({});
    connection = await RawConnection.open(served.url);
  });
  afterEach(() => connection.close());
  afterAll(() => served?.close());

  const body = (fields: object = {}) =>
    JSON.stringify({ model: served.model, messages: [{ role: 'user', content: 'Hi' }], ...fields });

  /** All four keys, a request id, and nothing of the inside. */
  function expectError(reply: RawReply, status: number, code: string): void {
    expect(reply.status).toBe(status);
    expect(reply.headers['content-type']).toMatch(/^application\/json/);
    const { error } = JSON.parse(reply.body);
    expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
    expect(error.code).toBe(code);
    expect(error.message).not.toMatch(/\bat .*\.ts|node_modules/);
  }

  async function get(path: string, method = 'GET', headers = ''): Promise<RawReply> {
    connection.send(`${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n`);
    return connection.reply(method !== 'HEAD');
  }

  describe('a stream', () => {
    it('has the headers that proxies and clients need, whole events, and LF only', async () => {
      connection.post(CHAT, body({ stream: true }));
      const reply = await connection.reply();
      expect(reply.status).toBe(200);
      expect(reply.headers).toMatchObject({
        'content-type': expect.stringMatching(/^text\/event-stream/),
        'cache-control': 'no-cache',
        'x-accel-buffering': 'no',
        'x-request-id': expect.stringMatching(/^req_/),
        'openai-processing-ms': expect.stringMatching(/^\d+$/),
      });
      expect(reply.body).not.toContain('\r');
      expect(reply.body.endsWith('data: [DONE]\n\n')).toBe(true);
      for (const event of reply.body.split('\n\n').slice(0, -1))
        expect(event).toMatch(/^(data: [^\n]+|: .*)$/);
    });

    it('keeps the connection for the next request', async () => {
      for (let i = 0; i < 3; i++) {
        connection.post(CHAT, body({ stream: i % 2 === 0 }));
        expect((await connection.reply()).status).toBe(200);
      }
    });

    it('says nothing of success before it is sure: an upstream failure has its own status', async () => {
      served.fake.setBehaviour({ status: 500 });
      connection.post(CHAT, body({ stream: true }));
      const reply = await connection.reply();
      expectError(reply, 502, 'upstream_error');
    });

    it('ends a failure in mid-stream with one error event and no [DONE]', async () => {
      served.fake.setBehaviour({ tokens: 10, itlMs: 20, dieAfterEvents: 4 });
      connection.post(CHAT, body({ stream: true }));
      const { body: sse } = await connection.reply();
      expect(sse).not.toContain('[DONE]');
      const events = sse.split('\n\n').slice(0, -1);
      expect(events.filter((event) => event.includes('"error"'))).toHaveLength(1);
      const { error } = JSON.parse(events.at(-1)!.replace(/^data: /, ''));
      expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
    });
  });

  describe('the request id', () => {
    it("is the client's own if harmless", async () => {
      expect((await get('/v1/models', 'GET', 'x-request-id: abc-123\r\n')).headers['x-request-id']).toBe(
        'abc-123',
      );
      const other = await get('/v1/models', 'GET', 'x-request-id: a b<script>\r\n');
      expect(other.headers['x-request-id']).toMatch(/^req_/);
    });
  });

  describe('routes', () => {
    it('answer 404 in shape for what is not there', async () => {
      expectError(await get('/v1/nope'), 404, 'route_not_found');
      expectError(await get('/'), 404, 'route_not_found');
      expectError(await get('/v1/models/nope'), 404, 'model_not_found');
      expectError(await get('/v1/models/org%2Fnope'), 404, 'model_not_found');
      connection.post(CHAT, body({ model: 'nope' }));
      expectError(await connection.reply(), 404, 'model_not_found');
    });

    it('tell where the API is to whom the /v1 is missing', async () => {
      expect((await get('/models')).body).toContain('It is at /v1/models: the base URL ends in /v1.');
    });

    it('answer 405 and name what they accept', async () => {
      const reply = await get(CHAT);
      expectError(reply, 405, 'method_not_allowed');
      expect(reply.headers.allow).toContain('POST');
      connection.post('/v1/models', '{}');
      const other = await connection.reply();
      expectError(other, 405, 'method_not_allowed');
      expect(other.headers.allow).toContain('GET');
    });

    it('answer HEAD', async () => {
      const reply = await get('/healthz', 'HEAD');
      expect(reply.status).toBe(200);
      expect((await get('/healthz')).status).toBe(200);
    });

    it('survive a path that cannot be decoded', async () => {
      expect((await get('/v1/models/%E0%A4%A')).status).toBe(404);
    });
  });

  describe('bodies', () => {
    it.each<[string, string | Uint8Array, number, string]>([
      ['nothing', '', 400, 'invalid_json'],
      ['broken JSON', '{"model":', 400, 'invalid_json'],
      ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, 'invalid_encoding'],
      ['NUL', '\0', 400, 'invalid_json'],
      ['a number', '5', 400, 'invalid_value'],
      ['null', 'null', 400, 'invalid_value'],
      ['a list', '[]', 400, 'invalid_value'],
      ['100,000 levels', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 400, 'invalid_value'],
      ['100,000 levels unclosed', '{"a":'.repeat(100_000), 400, 'invalid_value'],
      ['300,000 empty objects', `[${'{},'.repeat(300_000)}{}]`, 400, 'invalid_value'],
    ])('that are %s get a 400 that says so', async (_, bytes, status, code) => {
      connection.post(CHAT, bytes);
      expectError(await connection.reply(), status, code);
      connection.post(CHAT, body());
      expect((await connection.reply()).status).toBe(200);
    });

    it('with a byte order mark are taken or refused, not mangled', async () => {
      connection.post(CHAT, `\ufeff${body()}`);
      expect([200, 400]).toContain((await connection.reply()).status);
    });

    it('that are too large get a 413 by their declared length, before they are sent', async () => {
      connection.send(
        `POST ${CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${MAX_BODY_BYTES + 1}\r\n\r\n`,
      );
      const reply = await connection.reply();
      expectError(reply, 413, 'body_too_large');
      // What would come next could not be told from the rest of the body.
      expect(reply.headers.connection).toBe('close');
    });

    it('that are too large get a 413 when they were not declared', async () => {
      connection.send(
        `POST ${CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      );
      const block = 'x'.repeat(100_000);
      const chunk = `${block.length.toString(16)}\r\n${block}\r\n`;
      for (let sent = 0; sent <= MAX_BODY_BYTES + 2 * block.length; sent += block.length)
        connection.send(chunk);
      connection.send('0\r\n\r\n');
      const reply = await connection.reply();
      expectError(reply, 413, 'body_too_large');
      expect(reply.headers.connection).toBe('close');
    });

    it('of another type get a 415', async () => {
      connection.post(CHAT, body(), { 'content-type': 'text/plain' });
      expectError(await connection.reply(), 415, 'unsupported_media_type');
      connection.post(CHAT, body(), { 'content-type': 'application/json; charset=utf-8' });
      expect((await connection.reply()).status).toBe(200);
    });

    it('are asked for with 100 Continue, unless they are too large', async () => {
      const bytes = body();
      const head = (length: number) =>
        `POST ${CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n\r\n`;
      connection.send(head(Buffer.byteLength(bytes)));
      const interim = await connection.reply();
      expect(interim.status).toBe(100);
      connection.send(bytes);
      expect((await connection.reply()).status).toBe(200);
      connection.send(head(MAX_BODY_BYTES + 1));
      expectError(await connection.reply(), 413, 'body_too_large');
    });

    it('that never come end in 408', async () => {
      connection.send(
        `POST ${CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{`,
      );
      expectError(await connection.reply(), 408, 'request_timeout');
    });
  });

  describe('broken HTTP', () => {
    it.each([
      ['garbage', 'hello\r\n\r\n'],
      ['no host', `GET /healthz HTTP/1.1\r\n\r\n`],
      ['two lengths', `POST ${CHAT} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{`],
      [
        'length and chunks',
        `POST ${CHAT} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      ],
    ])('gets a 400: %s', async (_, bytes) => {
      connection.send(bytes);
      const reply = await connection.reply();
      expect(reply.status).toBe(400);
    });
  });

  describe('CORS', () => {
    const preflight = (origin: string) =>
      get(
        CHAT,
        'OPTIONS',
        `origin: ${origin}\r\naccess-control-request-method: POST\r\naccess-control-request-headers: authorization,content-type\r\n`,
      );

    it('lets configured origins in, and their pages read the reply', async () => {
      const reply = await preflight('https://ui.example');
      expect(reply.status).toBe(204);
      expect(reply.headers['access-control-allow-origin']).toBe('https://ui.example');
      expect(reply.headers['access-control-allow-methods']).toContain('POST');
      expect(reply.headers['access-control-allow-headers']).toMatch(/authorization/i);
      for (const stream of [false, true]) {
        connection.post(CHAT, body({ stream }), { origin: 'https://ui.example' });
        expect((await connection.reply()).headers['access-control-allow-origin']).toBe('https://ui.example');
      }
      connection.post(CHAT, '{', { origin: 'https://ui.example' });
      const refused = await connection.reply();
      expect(refused.headers['access-control-allow-origin']).toBe('https://ui.example');
    });

    it('lets no other origin in', async () => {
      expect(
        (await preflight('https://evil.example')).headers['access-control-allow-origin'],
      ).toBeUndefined();
      connection.post(CHAT, body(), { origin: 'https://evil.example' });
      expect((await connection.reply()).headers['access-control-allow-origin']).toBeUndefined();
    });
  });
});

describe('heartbeats', () => {
  let served: ServedByFake;

  beforeAll(async () => {
    served = await serveRelayed({ heartbeatMs: 50 });
  });
  afterAll(() => served?.close());

  const stream = () =>
    JSON.stringify({ model: served.model, messages: [{ role: 'user', content: 'Hi' }], stream: true });

  it('are comments that come before the first token too, and between tokens', async () => {
    const connection = await RawConnection.open(served.url);
    served.fake.setBehaviour({ ttftMs: 400, itlMs: 200, tokens: 2 });
    connection.post(CHAT, stream());
    const reply = await connection.reply();
    const events = reply.body.split('\n\n').slice(0, -1);
    const firstData = events.findIndex((event) => event.startsWith('data: '));
    expect(firstData).toBeGreaterThanOrEqual(2);
    expect(events.slice(0, firstData).every((event) => /^: ?[^\n]*$/.test(event))).toBe(true);
    expect(events.slice(firstData).some((event) => event.startsWith(':'))).toBe(true);
    expect(events.at(-1)).toBe('data: [DONE]');
    connection.close();
  });

  it('are lines alone for the official client in Go, which takes every blank line for an event', async () => {
    const connection = await RawConnection.open(served.url);
    served.fake.setBehaviour({ ttftMs: 400, itlMs: 200, tokens: 2 });
    connection.post(CHAT, stream(), { 'x-stainless-lang': 'go' });
    const { body } = await connection.reply();
    expect(body).toMatch(/^(: heartbeat\n){2,}data: /);
    expect(body).toMatch(/\n\n(: heartbeat\n)+data: /);
    expect(body.match(/data: /g)?.length).toBe(body.match(/\n\n/g)?.length);
    connection.close();
  });

  it('still let a failure be told, without an empty event before it', async () => {
    const connection = await RawConnection.open(served.url);
    served.fake.setBehaviour({ headerDelayMs: 300, status: 500 });
    connection.post(CHAT, stream(), { 'x-stainless-lang': 'go' });
    const { body } = await connection.reply();
    expect(body).toMatch(/^(: heartbeat\n)+data: \{"error":\{.*\}\}\n\n$/);
    connection.close();
  });

  it('still let a failure be told', async () => {
    const connection = await RawConnection.open(served.url);
    served.fake.setBehaviour({ headerDelayMs: 300, status: 500 });
    connection.post(CHAT, stream());
    const reply = await connection.reply();
    expect(reply.status).toBe(200);
    expect(reply.body).not.toContain('[DONE]');
    expect(reply.body).toMatch(/data: \{"error":\{.*\}\}\n\n$/);
    connection.close();
  });

  it('do not keep a stream alive whose client has left', async () => {
    const connection = await RawConnection.open(served.url);
    served.fake.setBehaviour({ ttftMs: 60_000 });
    connection.post(CHAT, stream());
    await connection.until('heartbeat', (text) => text.includes(': heartbeat'));
    connection.close();
    await eventually('nothing is in flight', () => served.gateway.inFlight === 0, 5_000);
    await eventually('the upstream is free', () => served.fake.inFlight() === 0, 5_000);
  });
});
