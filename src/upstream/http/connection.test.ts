import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { AppError } from '../../core/error.ts';
import { readBuffer } from '../../core/read-buffer.ts';
import { Connections } from './connections.ts';
import { upstreamNames } from './name-lookup.ts';

const BYTES = 2_000_000;
const LIMITS = { firstByteMs: 30_000, idleMs: 30_000, totalMs: 30_000 };

async function serverOfOneReply(): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${BYTES}\r\n\r\n`);
    socket.end(Buffer.alloc(BYTES));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('what takes long to read is one read in a turn of the event loop, however much more has come', async () => {
  const connections = new Connections({
    origin: await serverOfOneReply(),
    address: undefined,
    connectMs: 5_000,
    maxConnections: 1,
    shortestLimitMs: 30_000,
    now: () => performance.now(),
  });
  onTestFinished(() => connections.close());
  let turn = 0;
  let ended = false;
  const countTurns = () => {
    turn += 1;
    if (!ended) setImmediate(countTurns);
  };
  countTurns();
  const readIn: number[] = [];
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    connections.send({
      request: { head: 'GET / HTTP/1.1\r\n\r\n', body: [], bodyBytes: 0 },
      limits: LIMITS,
      signal: new AbortController().signal,
      reader: {
        onHead() {},
        onData(chunk) {
          bytes += chunk.length;
          readIn.push(turn);
          const startedMs = performance.now();
          while (performance.now() - startedMs < 10);
        },
        onEnd: resolve,
        onFailure: reject,
      },
    });
  });
  ended = true;
  expect(bytes).toBe(BYTES);
  // The last one of a turn leaves room.
  expect(readIn.length).toBeGreaterThan(BYTES / readBuffer.length);
  expect(new Set(readIn).size).toBe(readIn.length);
});

it('no connection is told of with what it waited for, where that is a name server', async () => {
  vi.spyOn(upstreamNames, 'ask').mockReturnValue(new Promise(() => {}));
  const awaits = vi.spyOn(upstreamNames, 'awaits');
  onTestFinished(() => void vi.restoreAllMocks());
  const connections = new Connections({
    origin: 'http://silent.test',
    address: undefined,
    connectMs: 20,
    maxConnections: undefined,
    shortestLimitMs: 30_000,
    now: () => performance.now(),
  });
  onTestFinished(() => connections.close());
  const failure = () =>
    new Promise<AppError>((resolve) => {
      connections.send({
        request: { head: '', body: [], bodyBytes: 0 },
        limits: LIMITS,
        signal: new AbortController().signal,
        reader: { onHead() {}, onData() {}, onEnd() {}, onFailure: resolve },
      });
    });
  awaits.mockImplementation((host) => host === 'silent.test');
  const [server, others] = ['no connection within 20 ms', ', as no name server says where silent.test is'];
  expect(await failure()).toMatchObject({ cause: { message: server + others } });
  awaits.mockReturnValue(false);
  expect(await failure()).toMatchObject({ cause: { message: server } });
});
