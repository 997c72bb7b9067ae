import { expect, it } from 'vitest';
import type { ClientReply } from '../../src/api/http/client-reply.ts';
import { RawConnection } from '../conformance/raw-connection.ts';
import { eventually } from '../support/gateway-process.ts';
import { post, serveFront } from './front-server.ts';

const SIZE = 20_000_000;

function allAtOnce(client: ClientReply): void {
  client.start(200, '', SIZE);
  client.end(Buffer.alloc(SIZE));
}

async function asItIsTaken(client: ClientReply): Promise<void> {
  client.start(200, '');
  for (let sent = 0; sent < SIZE && !client.signal.aborted; sent += 100_000)
    if (!client.write(Buffer.alloc(100_000))) await client.drained();
  client.end();
}

/** A request that Node reads has been sent, and nothing of its reply is read yet. */
async function open(write: typeof asItIsTaken | typeof allAtOnce, stallTimeoutMs: number) {
  const front = await serveFront({
    listen: { stallTimeoutMs },
    async answer(incoming, client) {
      await incoming.body(10);
      await write(client);
    },
  });
  const { socket } = await RawConnection.open(front.url);
  socket.removeAllListeners('data');
  socket.pause();
  socket.write(post('a', ['x-twice: b', 'x-twice: c']));
  await eventually('it is on its way', () => (front.sockets[0]?.bytesWritten ?? 0) > 0);
  const served = front.sockets[0]!;
  expect(front.plain?.isBusy(served)).toBeUndefined();
  return { socket, served };
}

it.each([
  ['all at once', allAtOnce],
  ['as it is taken', asItIsTaken],
])('whoever takes nothing of a reply by way of Node, written %s, is cut off', async (_, write) => {
  const { served } = await open(write, 300);
  await eventually('it is cut off', () => served.destroyed);
});

it('whoever takes a little of a reply by way of Node now and then is not cut off, however long it takes', async () => {
  const { socket } = await open(allAtOnce, 1_000);
  let bytes = 0;
  const startedMs = performance.now();
  // For twice the limit, and then as fast as it comes.
  socket.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (performance.now() - startedMs > 2_000) return;
    socket.pause();
    setTimeout(() => socket.resume(), 10);
  });
  socket.resume();
  await eventually('all of it is there', () => bytes >= SIZE, 30_000);
  expect(performance.now() - startedMs).toBeGreaterThan(2_000);
}, 40_000);
