import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { RawConnection } from './raw-connection.ts';
import { type ServedByFake, serveRelayed } from './server.ts';

let served: ServedByFake;
let connection: RawConnection;

beforeAll(async () => {
  served = await serveRelayed({});
});
beforeEach(async () => {
  connection = await RawConnection.open(served.url);
});
afterEach(() => connection.close());
afterAll(() => served?.close());

function errorOf(body: string) {
  const { error } = JSON.parse(body) as { error: Record<string, unknown> };
  expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
  return error;
}

it.each([
  ['two Host headers', 'host: a\r\nhost: b\r\n'],
  ['no Host header', ''],
  [
    'two Host headers of a request that waits to send its body',
    'host: a\r\nhost: b\r\nexpect: 100-continue\r\n',
  ],
  ['an empty Host header', 'host: \r\n'],
  ['a Host header that is no host', 'host: a b<>\r\n'],
])('refuses %s with an error in the usual shape', async (_, headers) => {
  connection.send(`GET /v1/models HTTP/1.1\r\n${headers}connection: close\r\n\r\n`);
  const reply = await connection.reply();
  expect(reply.status).toBe(400);
  expect(errorOf(reply.body).message).toContain('Host');
});

it.each(['localhost', '127.0.0.1:8080', '[::1]:8080', 'gate.example.com'])('takes Host: %s', async (host) => {
  connection.send(`GET /healthz HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
  expect((await connection.reply()).status).toBe(200);
});

it('answers a health check in HTTP/1.0, which has no Host', async () => {
  connection.send('GET /healthz HTTP/1.0\r\n\r\n');
  await connection.until('the answer', (received) => received.includes('{"status":"ok"}'));
  expect(connection.received).toMatch(/^HTTP\/1\.1 200 /);
});

it('says that headers are too large', async () => {
  connection.send(`GET /healthz HTTP/1.1\r\nhost: a\r\nx-large: ${'x'.repeat(70_000)}\r\n\r\n`);
  const reply = await connection.reply();
  expect(reply.status).toBe(431);
  expect(errorOf(reply.body).message).toContain('too large');
});

it('refuses a compressed body by naming its encoding', async () => {
  connection.post('/v1/chat/completions', 'whatever', { 'content-encoding': 'gzip' });
  const reply = await connection.reply();
  expect(reply.status).toBe(415);
  expect(errorOf(reply.body).message).toContain('gzip');
});
