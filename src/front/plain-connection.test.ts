import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { RawConnection } from '../../test/conformance/raw-connection.ts';
import { ECHO, echo, post, serveFront } from '../../test/front/front-server.ts';
import { eventually } from '../../test/support/gateway-process.ts';
import type { ClientReply } from '../api/http/client-reply.ts';
import type { Incoming } from '../api/http/incoming.ts';

/** Looks like requests. */
const BODY = 'POST /echo HTTP/1.1\r\nhost: b\r\ncontent-length: 3\r\n\r\n{}\r\n\r\n';

const GET = 'GET /other HTTP/1.1\r\nhost: a\r\n\r\n';
const CHUNKED = 'POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';

async function open(options: Parameters<typeof serveFront>[0] = {}) {
  const front = await serveFront(options);
  const connection = await RawConnection.open(front.url);
  await eventually('it is accepted', () => front.sockets.length === 1);
  const socket = front.sockets[0]!;
  /** Resolves when the server has read it. */
  const sendAlone = async (bytes: string) => {
    const untilBytes = socket.bytesRead + Buffer.byteLength(bytes, 'latin1');
    connection.send(Buffer.from(bytes, 'latin1'));
    while (socket.bytesRead < untilBytes) await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...front, connection, socket, sendAlone };
}

type Send = (bytes: string, done: (error?: Error | null) => void) => void;

/** Of a client that does not close when the server has. Resolves to all that it got, once the connection has ended. */
async function sendAfterReply(url: string, before: string, after: string): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  let received = '';
  socket.on('data', (bytes: Buffer) => {
    if (received === '') socket.write(after);
    received += bytes.toString('latin1');
  });
  // What it sends after that nobody is to read.
  socket.on('end', () => setTimeout(() => socket.destroy(), 100));
  socket.write(before);
  await once(socket, 'close');
  return received;
}

describe('requests', () => {
  it('are read alike wherever they are cut', async () => {
    const text = post(BODY, ['content-type: text/plain']);
    const { url, sockets, asked } = await serveFront({});
    for (let cut = 1; cut < text.length; cut++) {
      const connection = await RawConnection.open(url);
      await eventually('it is accepted', () => sockets.length === cut);
      connection.send(text.slice(0, cut));
      while (sockets[cut - 1]!.bytesRead < cut) await new Promise((resolve) => setImmediate(resolve));
      connection.send(text.slice(cut) + post('next'));
      expect((await connection.reply()).body).toBe(BODY);
      expect((await connection.reply()).body).toBe('next');
      connection.close();
    }
    expect(asked).toHaveLength(2 * (text.length - 1));
    // The head came whole.
    expect(asked.some(({ plain }) => plain)).toBe(true);
    expect(asked.some(({ plain }) => !plain)).toBe(true);
  });

  it('may come byte by byte', async () => {
    const { connection, sendAlone } = await open();
    for (const byte of post(BODY)) await sendAlone(byte);
    expect((await connection.reply()).body).toBe(BODY);
  });

  it('may come byte by byte after the head', async () => {
    const { connection, sendAlone, asked } = await open();
    const text = post(BODY);
    const start = text.indexOf('\r\n\r\n') + 4;
    for (let i = 0; i < 3; i++) {
      await sendAlone(text.slice(0, start));
      for (const byte of text.slice(start)) await sendAlone(byte);
      expect((await connection.reply()).body).toBe(BODY);
    }
    expect(asked.map(({ plain }) => plain)).toEqual([true, true, true]);
  });

  it.each([1, 2, 50])('that come %i at once are answered in order', async (count) => {
    const { connection, asked } = await open();
    const bodies = Array.from({ length: count }, (_, i) => `${i}:${BODY}`);
    connection.send(bodies.map((body) => post(body)).join(''));
    for (const body of bodies) expect((await connection.reply()).body).toBe(body);
    expect(asked.every(({ plain }) => plain)).toBe(true);
  });

  it('of both kinds that come at once are answered in order', async () => {
    const { connection, asked } = await open({
      async answer(incoming: Incoming, client: ClientReply) {
        const body = await incoming.body(1_000_000);
        // Later ones would be quicker.
        await new Promise((resolve) => setTimeout(resolve, body.length % 3));
        echo(Buffer.from(`${incoming.url} ${body}`), client);
      },
    });
    const sent = ['aa', 'b', GET, '', CHUNKED, 'ccccc', GET, 'd'];
    connection.send(sent.map((one) => (one.includes('HTTP') ? one : post(one))).join(''));
    const bodies: string[] = [];
    for (const _ of sent) bodies.push((await connection.reply()).body);
    expect(bodies).toEqual(
      sent.map((one) => (one === GET ? '/other ' : one === CHUNKED ? '/echo abc' : `/echo ${one}`)),
    );
    expect(asked).toHaveLength(0);
  });

  it('that are many times what is read ahead are all answered', async () => {
    const { connection } = await open();
    const body = 'x'.repeat(10_000);
    const text = post(body);
    for (let i = 0; i < 100; i++) connection.send(text);
    connection.send(GET + post('last'));
    for (let i = 0; i < 100; i++) expect((await connection.reply()).body).toBe(body);
    expect((await connection.reply()).status).toBe(200);
    expect((await connection.reply()).body).toBe('last');
  });

  it('are read ahead no further than is reasonable', async () => {
    const answered = Promise.withResolvers<void>();
    const { connection, socket } = await open({
      async answer(incoming: Incoming, client: ClientReply) {
        const body = await incoming.body(1_000_000);
        await answered.promise;
        echo(body, client);
      },
    });
    const text = post('x'.repeat(10_000));
    const count = 2_000;
    connection.send(text.repeat(count));
    let last = -1;
    await eventually('nothing more is read', async () => {
      const before = last;
      last = socket.bytesRead;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return last > 0 && last === before;
    });
    expect(last).toBeLessThan(512 * 1024);
    answered.resolve();
    for (let i = 0; i < count; i++) expect((await connection.reply()).status).toBe(200);
  }, 30_000);

  it('with long bodies find each its own, though all use the same memory', async () => {
    const { connection, asked } = await open({
      async answer(incoming: Incoming, client: ClientReply) {
        const body = await incoming.body(1_000_000);
        await new Promise((resolve) => setImmediate(resolve));
        echo(Buffer.from(body), client);
        incoming.release();
      },
    });
    const bodies = Array.from({ length: 40 }, (_, i) => `${i} `.repeat(3_000 + ((i * 7_919) % 90_000)));
    const sent = Buffer.from(bodies.map((body) => post(body)).join(''));
    for (let at = 0, size = 1; at < sent.length; at += size, size = 1 + ((size * 7 + 5) % 300_007)) {
      connection.send(sent.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const body of bodies) expect((await connection.reply()).body === body).toBe(true);
    expect(asked).toHaveLength(0);
  });

  it('for Node that were read ahead go to it whole', async () => {
    const bodies: string[] = [];
    const { connection } = await open({
      async answer(incoming: Incoming, client: ClientReply) {
        // The first is answered when more has come than is read ahead; the others' bodies are asked for late.
        await new Promise((resolve) => setTimeout(resolve, incoming.url === ECHO ? 200 : 20));
        const body = String(await incoming.body(2_000_000));
        bodies.push(body);
        echo(Buffer.from(String(body.length)), client);
      },
    });
    const sent = ['', BODY.repeat(3_000), BODY.repeat(20_000)];
    connection.send(sent.map((body, i) => post(body, [], i === 0 ? ECHO : '/other')).join(''));
    for (const body of sent) expect((await connection.reply()).body).toBe(String(body.length));
    expect(bodies).toEqual(sent);
  });

  it('are answered no further than the client takes the answers', async () => {
    let answered = 0;
    const large = Buffer.alloc(200_000, 'x');
    const { connection, socket } = await open({
      answer(_: Incoming, client: ClientReply) {
        answered += 1;
        echo(large, client);
      },
    });
    connection.socket.pause();
    connection.send(post('').repeat(1_000));
    await eventually('the client has enough', () => socket.writableNeedDrain);
    const answeredBefore = answered;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(answered).toBeLessThan(answeredBefore + 5);
    expect(socket.writableLength).toBeLessThan(2 * large.length);
    let bytes = 0;
    connection.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    connection.socket.resume();
    await eventually('all are answered', () => answered === 1_000 && bytes > 1_000 * large.length);
  });

  it('after one that says `close` are not answered', async () => {
    const { connection, asked } = await open();
    connection.send(post('a', ['connection: close']) + post('b'));
    const reply = await connection.reply();
    expect([reply.body, reply.headers.connection]).toEqual(['a', 'close']);
    await eventually('it is closed', () => connection.socket.closed);
    expect(asked).toHaveLength(1);
    expect(connection.received).toBe('');
  });
});

describe('a body that nobody reads', () => {
  const refuse = (_: Incoming, client: ClientReply) => {
    client.start(401, '', 2);
    client.end('no');
  };

  it('is not read before the reply, and then forgotten', async () => {
    const { connection, socket, plain } = await open({
      async answer(incoming: Incoming, client: ClientReply) {
        if (incoming.header('x-key') !== undefined) return echo(await incoming.body(100), client);
        await new Promise((resolve) => setTimeout(resolve, 100));
        expect(socket.bytesRead).toBeLessThan(512 * 1024);
        refuse(incoming, client);
      },
    });
    connection.send(post('x'.repeat(5_000_000)) + post('b', ['x-key: 1']));
    expect((await connection.reply()).body).toBe('no');
    expect((await connection.reply()).body).toBe('b');
    expect(plain?.isBusy(socket)).toBe(false);
  });

  it('costs a client that closes afterwards no reply, also where it sends all before it reads', async () => {
    const { connection } = await open({ answer: refuse });
    connection.socket.pause();
    const sent = promisify(connection.socket.write.bind(connection.socket) as Send);
    await sent(post('x'.repeat(5_000_000), ['connection: close']));
    connection.socket.resume();
    const reply = await connection.reply();
    expect([reply.body, reply.headers.connection]).toEqual(['no', 'close']);
    await eventually('it is closed', () => connection.socket.closed);
  });

  it('is nothing to go by once the last reply is sent', async () => {
    let asked = 0;
    const { url } = await serveFront({
      answer(incoming, client) {
        asked += 1;
        refuse(incoming, client);
      },
    });
    const text = post('abc', ['connection: close']);
    const received = await sendAfterReply(url, text.slice(0, -1), text.slice(-1) + post('stolen'));
    expect([asked, received.match(/HTTP/g)?.length]).toEqual([1, 1]);
  });
});

describe('time', () => {
  const limits = { requestTimeoutMs: 200 };

  it.each([
    ['nothing', ''],
    ['part of a head', 'POST /echo HTTP/1.1\r\nhost: a\r\n'],
    ['part of a body', post('abc').slice(0, -1)],
    ['part of a second head', post('first') + post('abc').slice(0, 30)],
    ['part of a second body', post('first') + post('abc').slice(0, -1)],
  ])('is up for a client that sends %s', async (_, bytes) => {
    const { connection } = await open({ listen: limits });
    connection.send(bytes);
    if (bytes.includes('first')) expect((await connection.reply()).body).toBe('first');
    const reply = await connection.reply();
    expect([reply.status, reply.headers.connection]).toEqual([408, 'close']);
    await eventually('it is closed', () => connection.socket.closed);
  });

  it('is up, without another reply, where the rest of a refused body does not come', async () => {
    const { connection } = await open({
      listen: limits,
      answer(_, client) {
        client.start(401, '', 2);
        client.end('no');
      },
    });
    connection.send(post('abc').slice(0, -1));
    expect((await connection.reply()).status).toBe(401);
    await eventually('it is closed', () => connection.socket.closed);
    expect(connection.received).toBe('');
  });

  it('that was up for a request is up for its body, too', async () => {
    const { url, asked } = await serveFront({ listen: limits });
    const text = post('abc');
    expect(await sendAfterReply(url, text.slice(0, -1), text.slice(-1))).toMatch(/^HTTP\/1\.1 408 /);
    expect(asked).toHaveLength(0);
  });

  it('does not run while a reply is made, or while a connection rests', async () => {
    const { connection } = await open({
      listen: limits,
      async answer(incoming, client) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        echo(await incoming.body(10), client);
      },
    });
    connection.send(post('a'));
    expect((await connection.reply()).body).toBe('a');
    await new Promise((resolve) => setTimeout(resolve, 500));
    connection.send(post('b'));
    expect((await connection.reply()).body).toBe('b');
  });

  it('is up for a connection that rests for too long', async () => {
    const { connection, plain, socket } = await open({ listen: limits });
    connection.send(post('a'));
    await connection.reply();
    const later = performance.now() + plain!.keepAliveMs;
    vi.spyOn(performance, 'now').mockImplementation(() => later + 500);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(socket.destroyed).toBe(false);
    vi.mocked(performance.now).mockImplementation(() => later + 2_000);
    await vi.waitFor(() => expect(connection.socket.closed).toBe(true));
    vi.restoreAllMocks();
  });

  it.each([1_000, 50_000_000])('is up for a client that takes nothing of the last %i bytes', async (size) => {
    const { connection, socket } = await open({
      listen: { requestTimeoutMs: 30_000, stallTimeoutMs: 300 },
      async answer(incoming, client) {
        await incoming.body(10);
        // More than the system has room for, so that the last of it stays here.
        client.start(200, '');
        while (!socket.destroyed && (client.write(Buffer.alloc(16_384)) || socket.writableLength === 0))
          await new Promise((resolve) => setImmediate(resolve));
        client.end(Buffer.alloc(size));
      },
    });
    connection.socket.pause();
    connection.send(post('a'));
    await eventually('it is cut off', () => socket.destroyed);
  });

  it('is not up for a client while this process stands still', async () => {
    const size = 20_000_000;
    const { connection, socket } = await open({
      listen: { stallTimeoutMs: 300 },
      async answer(incoming, client) {
        await incoming.body(10);
        client.start(200, '', size);
        client.end(Buffer.alloc(size));
      },
    });
    connection.socket.removeAllListeners('data');
    let bytes = 0;
    connection.socket.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    connection.send(post('a'));
    await once(connection.socket, 'data');
    await new Promise((resolve) => setTimeout(resolve));
    expect(socket.writableLength).toBeGreaterThan(0);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    await eventually('all of it is there', () => bytes >= size);
  });

  it('is not up for a client that takes a little now and then', async () => {
    const size = 20_000_000;
    const { url } = await serveFront({
      listen: { stallTimeoutMs: 1_000 },
      async answer(incoming, client) {
        await incoming.body(10);
        client.start(200, '', size);
        client.end(Buffer.alloc(size));
      },
    });
    const { socket } = await RawConnection.open(url);
    socket.removeAllListeners('data');
    let bytes = 0;
    const startedMs = performance.now();
    // For twice the limit, and then as fast as it comes.
    socket.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (performance.now() - startedMs > 2_000) return;
      socket.pause();
      setTimeout(() => socket.resume(), 10);
    });
    socket.write(post('a'));
    await eventually('all of it is there', () => bytes >= size, 30_000);
    expect(performance.now() - startedMs).toBeGreaterThan(2_000);
  }, 40_000);
});

describe('a client that leaves', () => {
  it.each([
    ['closes', (connection: RawConnection) => connection.socket.destroy()],
    ['closes one side', (connection: RawConnection) => connection.socket.end()],
    ['resets', (connection: RawConnection) => connection.socket.resetAndDestroy()],
  ])('and %s is known to be gone while its reply is made', async (_, leave) => {
    const asked = Promise.withResolvers<ClientReply>();
    const { connection, plain, socket } = await open({
      async answer(incoming, client) {
        await incoming.body(10);
        asked.resolve(client);
      },
    });
    connection.send(post('a'));
    const { signal } = await asked.promise;
    leave(connection);
    await eventually('the work ends', () => signal.aborted);
    expect(plain?.isBusy(socket)).toBeUndefined();
  });

  it('in the middle of its body is not waited for', async () => {
    const ended = Promise.withResolvers<unknown>();
    const { connection } = await open({
      async answer(incoming) {
        ended.resolve(await Promise.resolve(incoming.body(10)).catch((error: unknown) => error));
      },
    });
    connection.send(post('abc').slice(0, -1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    connection.close();
    expect(await ended.promise).toMatchObject({ code: 'client_closed' });
  });

  it('on one side, with a reply on its way, gets all of it', async () => {
    const size = 20_000_000;
    const { connection } = await open({
      async answer(incoming, client) {
        await incoming.body(10);
        client.start(200, '', size);
        client.end(Buffer.alloc(size, 'x'));
      },
    });
    connection.socket.pause();
    connection.send(post('a'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    connection.socket.end();
    let bytes = 0;
    connection.socket.removeAllListeners('data');
    connection.socket.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    connection.socket.resume();
    await eventually('it is closed', () => connection.socket.closed);
    expect(bytes).toBeGreaterThan(size);
  });
});

it('nothing is left of thousands of connections', async () => {
  const { url, sockets, plain, server } = await serveFront({});
  for (let round = 0; round < 30; round++)
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const connection = await RawConnection.open(url);
        const bytes = [post('a'), '', GET, post('abc').slice(0, -1), 'POST /ec', CHUNKED][i % 6]!;
        connection.send(bytes);
        if (i % 6 === 0 || i % 6 === 2) await connection.reply();
        if (i % 2 === 0) connection.close();
        else connection.socket.resetAndDestroy();
      }),
    );
  await eventually('all are closed', () => sockets.length === 3_000 && sockets.every(({ closed }) => closed));
  expect(sockets.filter((socket) => plain!.isBusy(socket) !== undefined)).toEqual([]);
  expect(await new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0);
});
