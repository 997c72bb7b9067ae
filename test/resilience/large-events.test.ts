import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { chatBody } from '../support/gateway-process.ts';
import { rawUpstream } from '../upstream/harness.ts';
import { eventually, isWhole, serveUpstreams } from './fleet.ts';

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
/** One for each client; a header that comes twice has Node read the request. */
const HEADERS = ['x-twice: a\r\nx-twice: b\r\n', ...Array<string>(7).fill('')];
const PICTURE = Buffer.alloc(14 * 1024 * 1024, 'x');
const KEPT_BYTES = 8.5 * 1024 * 1024;
const SMALLER_BYTES = 2 * 1024 * 1024;
/** In front of a picture, it has all of the event wait for its end: the client did not ask for it. */
const USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":1},';

/** Answers with a picture in one event, and ends; once all clients have one, with a smaller one. */
function pictures(onAsked: () => number, before: string, mostBytes: number): Promise<string> {
  return rawUpstream((socket) => {
    const sizeBytes = onAsked() > HEADERS.length ? SMALLER_BYTES : mostBytes;
    socket.write(`${HEAD}data: {${before}"choices":[{"index":0,"delta":{"images":["`);
    socket.write(PICTURE.subarray(0, sizeBytes));
    socket.end('"]},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
  });
}

/** Asks for a stream and reads none of it. */
async function deafClient(url: string, headers: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.pause();
  const body = chatBody('m', { stream: true });
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`,
  );
  return socket;
}

it('clients that do not take their pictures leave them with the server, hold less than 10 MB each, and are in nobody’s way', async () => {
  let asked = 0;
  const url = await pictures(
    () => {
      asked += 1;
      return asked;
    },
    '',
    PICTURE.length,
  );
  const fleet = await serveUpstreams([url]);
  const held = () => process.memoryUsage().arrayBuffers;
  const before = held();
  const deaf = await Promise.all(HEADERS.slice(0, 4).map((headers) => deafClient(fleet.url, headers)));
  await eventually('all are inside', () => asked === deaf.length);
  for (let i = 0; i < 10; i += 1) {
    expect((held() - before) / deaf.length).toBeLessThan(10e6);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(fleet.backend('a').inFlight).toBe(deaf.length);
  asked = HEADERS.length;
  expect(isWhole(await fleet.ask())).toBe(true);
  const [first] = deaf;
  let bytes = 0;
  first!.on('data', (piece: Buffer) => {
    bytes += piece.length;
  });
  first!.resume();
  await once(first!, 'close');
  expect(bytes).toBeGreaterThan(PICTURE.length);
  for (const socket of deaf) socket.destroy();
  await fleet.idle();
});

it('clients that do not take pictures that had to be kept back fill the memory for large events, no more, and are cut off once others have waited for it', async () => {
  const now = performance.now.bind(performance);
  let laterMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now() + laterMs);
  onTestFinished(() => void vi.restoreAllMocks());
  let asked = 0;
  const fleet = await serveUpstreams([
    await pictures(
      () => {
        asked += 1;
        return asked;
      },
      USAGE,
      KEPT_BYTES,
    ),
  ]);
  const deaf = await Promise.all(HEADERS.map((headers) => deafClient(fleet.url, headers)));
  const isIdle = () => asked === HEADERS.length && fleet.backend('a').inFlight === 0;
  await eventually('the gateway has all that they asked for', isIdle, 20_000);
  let isAnswered = false;
  const answer = fleet.ask().finally(() => {
    isAnswered = true;
  });
  await eventually('another one asks', () => asked === HEADERS.length + 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(isAnswered).toBe(false);
  laterMs = 11_000;
  expect(isWhole(await answer)).toBe(true);
  for (const socket of deaf) socket.destroy();
  await fleet.idle();
});
