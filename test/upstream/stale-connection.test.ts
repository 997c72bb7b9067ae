import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, connect as dial, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FakeSeenRequest } from '../fakes/openai-upstream.ts';
import { ask, failureOf, rawUpstream, reach, receive, spawnFake } from './harness.ts';

/** More sockets than the system tells of at once. */
const MANY = 1_200;

const REPLY =
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n{"choices":[{}],"usage":null} ';

/**
 * A server whose connections answer one request, and end when the second arrives, before a byte of an answer: what a
 * client sees when an idle connection is closed just as it sends.
 */
async function staleServer(options: { readonly answerNew: boolean }) {
  const seen = { requests: 0, connections: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    seen.connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    let served = 0;
    socket.on('data', (bytes) => {
      if (!bytes.toString().startsWith('POST')) return void socket.end();
      seen.requests += 1;
      served += 1;
      if (served === 1 && (options.answerNew || seen.requests === 1)) socket.write(REPLY);
      else socket.destroy();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1`, seen };
}

/** Sockets that become readable together when `ring` is called. */
async function manySockets(count: number): Promise<{ readonly sockets: readonly Socket[]; ring(): void }> {
  const others: Socket[] = [];
  const server = createServer((socket) => others.push(socket.on('error', () => {}))).listen({
    port: 0,
    host: '127.0.0.1',
    backlog: count,
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets = Array.from({ length: count }, () => dial(port, '127.0.0.1'));
  onTestFinished(() => {
    for (const socket of [...sockets, ...others]) socket.destroy();
    server.close();
  });
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  await expect.poll(() => others.length).toBe(count);
  return { sockets, ring: () => others.forEach((other) => void other.write('x')) };
}

function busy(forMs: number): void {
  const untilMs = performance.now() + forMs;
  while (performance.now() < untilMs);
}

describe('a connection whose server answered before it had the request', () => {
  it('carries no other one', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        if (bytes.toString().startsWith('POST')) connections += 1;
        // Nothing more is read.
        socket.pause();
        socket.write(REPLY);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const connected = reach(`http://127.0.0.1:${port}/v1`);
    const long = Buffer.from(JSON.stringify({ model: 'm', prompt: 'x'.repeat(32 * 1024 * 1024) }));
    const asked = ask({ stream: false });
    await receive(connected, { ...asked, wire: { ...asked.wire, body: long } });
    await receive(connected, asked);
    expect(connections).toBe(2);
  });
});

describe('a connection on which bytes came before its request was sent', () => {
  it.each(['a timer', 'a read of another socket'])(
    'is given up: they are not its answer, and it goes out on another one (sent upon %s)',
    async (upon) => {
      const seen: string[] = [];
      let first: Socket | undefined;
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', (bytes) => {
          if (!bytes.toString().startsWith('POST')) return void socket.end();
          first ??= socket;
          seen.push(socket === first ? 'first' : 'other');
          socket.write(REPLY);
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      const connected = reach(`http://127.0.0.1:${port}/v1`);
      await receive(connected, ask({ stream: false }));
      const { sockets, ring } = await manySockets(1);
      // They lie in the kernel when the connection is taken, and are read in the same turn as the request is written.
      const received = await new Promise<unknown>((resolve) => {
        const send = () => resolve(receive(connected, ask({ stream: false })));
        setTimeout(() => {
          if (upon !== 'a timer') sockets[0]!.once('data', send);
          ring();
          first!.write('HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n');
          busy(50);
          if (upon === 'a timer') send();
        }, 20);
      });
      expect(String(received)).toContain('"choices"');
      expect(seen.at(-1)).toBe('other');
    },
  );
});

describe('a request that is written at once while more than a thousand sockets can be read', () => {
  it('is not sent again when its answer comes in the same turn of the event loop', async () => {
    const fake = await spawnFake({ tokens: 1 });
    const connected = reach(fake.url);
    await receive(connected, ask({ stream: false }));
    const long = Buffer.from(JSON.stringify({ model: 'm', prompt: 'x'.repeat(32 * 1024) }));
    const asked = ask({ stream: false });
    const { sockets, ring } = await manySockets(MANY);
    const received = new Promise<string>((resolve) => {
      const send = () => {
        for (const socket of sockets) socket.off('data', send);
        resolve(receive(connected, { ...asked, wire: { ...asked.wire, body: long } }));
        busy(100);
      };
      for (const socket of sockets) socket.on('data', send);
    });
    ring();
    expect(await received).toContain('"choices"');
    const state = await fetch(new URL('/__fake/state', fake.url));
    const { requests } = (await state.json()) as { requests: readonly FakeSeenRequest[] };
    expect(requests.filter(({ method }) => method === 'POST')).toHaveLength(2);
  });
});

describe('a connection that the server closed while it was idle', () => {
  it('costs no request: it is sent once more, on a new one', async () => {
    const { url, seen } = await staleServer({ answerNew: true });
    const connected = reach(url);
    for (let i = 0; i < 20; i += 1) {
      await receive(connected, ask({ stream: false }));
      await sleep(5);
    }
    expect(seen.requests).toBeGreaterThan(25);
    expect(connected.upstream.health()).toMatchObject({ state: 'ready', inFlight: 0 });
  });

  it('is tried again once only, and never when the connection was new', async () => {
    const { url, seen } = await staleServer({ answerNew: false });
    const connected = reach(url);
    await receive(connected, ask({ stream: false }));
    await sleep(20);
    expect((await failureOf(connected.relay(ask({ stream: false })))).code).toBe('upstream_error');
    expect(seen.requests).toBe(3);
    expect((await failureOf(connected.relay(ask({ stream: false })))).code).toBe('upstream_error');
    expect(seen.requests).toBe(4);
  });

  it.each([
    ['costs no request where it says so with a 408 that the request meets', 'close', 2],
    ['is not what a 408 tells of that leaves the connection open', 'keep-alive', 1],
  ])('%s', async (_, connection, connections) => {
    const seen: number[] = [];
    const url = await rawUpstream((socket) => {
      const isReused = seen.includes(socket.remotePort!);
      seen.push(socket.remotePort!);
      const leave = `HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: ${connection}\r\n\r\n`;
      socket.write(isReused ? leave : REPLY);
    });
    const connected = reach(url);
    await receive(connected, ask({ stream: false }));
    const second = receive(connected, ask({ stream: false }));
    if (connections === 2) expect(await second).toContain('"choices"');
    else expect((await failureOf(second)).code).toBe('upstream_timeout');
    expect(new Set(seen).size).toBe(connections);
    expect(connected.upstream.health()).toMatchObject({ state: 'ready', inFlight: 0 });
  });

  it('is not meant by a 408 on a new one', async () => {
    let requests = 0;
    const url = await rawUpstream((socket) => {
      requests += 1;
      socket.end('HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    });
    expect((await failureOf(reach(url).relay(ask({ stream: false })))).code).toBe('upstream_timeout');
    expect(requests).toBe(1);
  });

  it('costs no request that had waited for it for long', async () => {
    let waitedMs = 0;
    const held = Promise.withResolvers<Socket>();
    const seen: number[] = [];
    const url = await rawUpstream((socket) => {
      const nth = seen.push(socket.remotePort!);
      if (nth === 1) held.resolve(socket);
      else if (socket.remotePort === seen[0]) socket.destroy();
      else socket.write(REPLY);
    });
    const now = () => performance.now() + waitedMs;
    const connected = reach(url, { maxConnections: 1, now });
    const both = Promise.all([1, 2].map(() => receive(connected, ask({ stream: false }))));
    const socket = await held.promise;
    waitedMs = 10_000;
    socket.write(REPLY);
    expect(await both).toHaveLength(2);
    expect(seen).toHaveLength(3);
  });

  it('loses none of 10,000 against a server that cuts idle connections at random moments', async () => {
    const fake = await spawnFake({ tokens: 1, cutIdleAfterMs: 1 });
    const connected = reach(fake.url);
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    let answered = 0;
    const client = async () => {
      for (let i = 0; i < 500; i += 1) {
        if ((await receive(connected, ask({ stream: i % 2 === 0 }))).length > 0) answered += 1;
        await sleep(random() * 3);
      }
    };
    await Promise.all(Array.from({ length: 20 }, client));
    expect(answered).toBe(10_000);
    expect(connected.upstream.health()).toMatchObject({ state: 'ready', inFlight: 0 });
  });
});
