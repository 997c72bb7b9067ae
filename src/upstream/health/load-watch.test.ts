import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, vi } from 'vitest';
import { watchLoad } from './load-watch.ts';

test('a page that was late once is read on', async () => {
  let asked = 0;
  const server = createServer((_, reply) => {
    asked += 1;
    if (asked !== 2) reply.end('llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const onLoads = vi.fn();
  const stop = watchLoad({
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    address: undefined,
    headers: {},
    intervalMs: 10,
    timeoutMs: 100,
    onLoads,
  });
  await vi.waitFor(() => expect(onLoads.mock.calls.length).toBeGreaterThan(2), 2_000);
  stop();
  server.closeAllConnections();
  server.close();
});
