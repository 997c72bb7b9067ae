import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Call } from '../../src/api/http/call.ts';
import type { ClientReply } from '../../src/api/http/client-reply.ts';
import type { Relay, RelaySink } from '../../src/core/backend.ts';
import { AppError } from '../../src/core/error.ts';
import { newObservation } from '../../src/core/observation.ts';
import { RawConnection } from '../conformance/raw-connection.ts';
import { eventually } from '../support/gateway-process.ts';
import { post, serveFront } from './front-server.ts';

const OPTIONS = {
  corsOrigins: [],
  draining: () => false,
  door: { keysNeeded: false, authenticate: () => undefined },
};
const POST = post('{}', ['content-type: application/json']);
const POST_1_0 = POST.replace('HTTP/1.1', 'HTTP/1.0');

/** A connection to a gateway whose replies break after they have begun. */
async function ask(request: string, breakOff: (sink: RelaySink) => Promise<void>): Promise<RawConnection> {
  const { url } = await serveFront({
    async answer(incoming, client) {
      const call = new Call(incoming, client, OPTIONS);
      await incoming.body(100);
      await call.pass(torn(breakOff))?.catch((error: unknown) => call.sendError(AppError.from(error)));
    },
  });
  const connection = await RawConnection.open(url);
  connection.send(request);
  return connection;
}

function torn(breakOff: (sink: RelaySink) => Promise<void>): Relay {
  return {
    status: 200,
    contentType: 'application/json',
    observation: newObservation(),
    async pump(sink) {
      sink.write(Buffer.from('{"choices":'));
      await breakOff(sink);
      throw new AppError('upstream_error');
    },
  };
}

function error(socket: Socket): Promise<NodeJS.ErrnoException | undefined> {
  return Promise.race([
    once(socket, 'error').then(([failure]) => failure as NodeJS.ErrnoException),
    once(socket, 'close').then(() => undefined),
  ]);
}

it('a reply that breaks before anything of it is out is an error like any other', async () => {
  const connection = await ask(POST, async () => {});
  const { status, body } = await connection.reply();
  expect(status).toBe(502);
  expect(JSON.parse(body).error.code).toBe('upstream_error');
});

it('a reply that breaks later does not come to its last chunk', async () => {
  const connection = await ask(POST, async () => {
    await nextTurn();
    await nextTurn();
  });
  await once(connection.socket, 'close');
  expect(connection.received).toContain('{"choices":');
  expect(connection.received).not.toContain('0\r\n\r\n');
});

it('a reply to HTTP/1.0 that breaks ends in a reset, as its end would be taken for that of the whole', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { socket } = await ask(POST_1_0, () => promise);
  await once(socket, 'data');
  resolve();
  expect(await error(socket)).toMatchObject({ code: 'ECONNRESET' });
});

it('so does one whose client takes nothing', async () => {
  const { url, sockets } = await serveFront({
    listen: { stallTimeoutMs: 300 },
    async answer(incoming, client: ClientReply) {
      await incoming.body(100);
      client.start(200, '');
      client.write(Buffer.alloc(20_000_000));
    },
  });
  const { socket } = await RawConnection.open(url);
  socket.pause();
  socket.write(POST_1_0);
  const failed = error(socket);
  await eventually('it is cut off', () => sockets[0]?.destroyed === true);
  socket.resume();
  expect(await failed).toMatchObject({ code: 'ECONNRESET' });
});
