import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import {
  chatBody,
  metric,
  postChat,
  residentBytes,
  startGatewayProcess,
} from '../support/gateway-process.ts';
import { spawnFake } from '../upstream/harness.ts';
import { eventually, isWhole, serveFleet } from './fleet.ts';

/** A header that has Node read the request. */
const TO_NODE = 'x-twice: a\r\nx-twice: b\r\n';

/** Asks for a stream and reads none of it. */
async function deafClient(url: string, headers = ''): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.pause();
  const body = chatBody('m', { stream: true });
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`,
  );
  return socket;
}

interface FakeState {
  readonly inFlight: number;
  readonly requests: readonly { readonly sentBytes: number; readonly aborted: boolean }[];
}

it('clients that do not read hold less than 10 MB each, do not slow others, and are cut off', async () => {
  const fake = await spawnFake();
  const at = (path: string) => new URL(`/__fake/${path}`, fake.url);
  const state = async () => (await (await fetch(at('state'))).json()) as FakeState;
  const gateway = await startGatewayProcess({
    listen: { stallTimeoutMs: 3_000 },
    upstreams: [{ name: 'a', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'a', model: 'fake-model' }] }],
  });
  onTestFinished(() => gateway.kill());
  const { url } = gateway;
  const ask = () => postChat(url, chatBody('m', { stream: true, max_tokens: 5 }));
  for (let i = 0; i < 20; i += 1) await (await ask()).text();
  // Long words: a fake that writes many short ones needs longer than it takes to be cut off, where the machine is busy.
  const text = `${'a'.repeat(10_000)} `.repeat(2_500);
  await fetch(at('behaviour'), { method: 'POST', body: JSON.stringify({ text }) });
  const before = residentBytes(gateway.child.pid!);
  await Promise.all(Array.from({ length: 10 }, () => deafClient(url)));
  let sent = -1;
  const nothingMoves = async () => {
    const last = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { requests } = await state();
    sent = requests.reduce((sum, request) => sum + request.sentBytes, 0);
    return requests.length === 30 && sent > 0 && sent === last;
  };
  await eventually('nothing moves any more', nothingMoves, 20_000);
  // Of some 25 MB each; the system's socket buffers on both sides are among what was sent.
  expect(sent / 10).toBeLessThan(20e6);
  expect((residentBytes(gateway.child.pid!) - before) / 10).toBeLessThan(10e6);
  expect(isWhole({ status: 200, text: await (await ask()).text() })).toBe(true);

  const inFlight = () => metric(url, 'qianmen_requests_in_flight');
  await eventually('they are cut off', async () => (await inFlight()) === 0, 10_000);
  await eventually('the upstream has stopped', async () => (await state()).inFlight === 0, 5_000);
  expect((await state()).requests.filter(({ aborted }) => aborted)).toHaveLength(10);
  expect(await metric(url, 'qianmen_backend_up')).toBe(1);
  expect(await metric(url, 'qianmen_backend_requests_in_flight')).toBe(0);
});

it('clients that do not read keep nobody out, teach the gateway nothing, and get all of it when they read on', async () => {
  const upstream = { concurrency: { initial: 1, max: 8 } };
  const fleet = await serveFleet([{ text: `${'a'.repeat(10_000)} `.repeat(1_600), burst: true }], {
    upstream,
    limits: { queueTimeoutMs: 30_000 },
  });
  const deaf = await Promise.all(Array.from({ length: 3 }, () => deafClient(fleet.url)));
  await eventually('all are inside', () => fleet.backend('a').inFlight === 3, 30_000);
  const [first] = deaf;
  let text = '';
  first!.on('data', (piece: Buffer) => {
    text = (text + piece.toString('latin1')).slice(-100);
  });
  await eventually('others get in', async () => isWhole(await fleet.ask({ body: { max_tokens: 5 } })), 1_000);
  const { tpot } = fleet.backend('a');
  first!.resume();
  await eventually('it has the end', () => text.includes('[DONE]'), 10_000);
  await eventually('it is over', () => fleet.backend('a').inFlight === 2);
  expect(fleet.backend('a').tpot.count).toBe(tpot.count);
  for (const socket of deaf) socket.destroy();
  await fleet.idle();
  expect(fleet.backend('a')).toMatchObject({ inFlight: 0, lent: 0 });
});

it.each([
  ['plain', ''],
  ['Node', TO_NODE],
])(
  'clients that do not read and take all the places that there are (%s) have to go one by one, for those who wait',
  async (_, headers) => {
    const now = performance.now.bind(performance);
    let laterMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now() + laterMs);
    onTestFinished(() => void vi.restoreAllMocks());
    const fleet = await serveFleet([{ text: `${'a'.repeat(10_000)} `.repeat(1_600), burst: true }], {
      upstream: { concurrency: { initial: 1, max: 2 } },
    });
    const deaf: Socket[] = [];
    for (let i = 1; i <= 2; i += 1) {
      deaf.push(await deafClient(fleet.url, headers));
      await eventually('it is inside', () => fleet.backend('a').inFlight === i);
    }
    const asked = fleet.ask({ body: { max_tokens: 5 } });
    await eventually(
      'another one waits, and all have lent their places',
      () => fleet.backend('a').lent === 2,
    );
    laterMs = 6_000;
    expect(isWhole(await asked)).toBe(true);
    expect(fleet.backend('a')).toMatchObject({ inFlight: 1, lent: 1 });
    expect(await (await fetch(`${fleet.url}/metrics`)).text()).toMatch(
      /^qianmen_requests_total\{.*outcome="cancelled".*\} 1$/m,
    );
    const ended = deaf.map(async (socket) => {
      socket.resume();
      await once(socket, 'close');
    });
    await ended[0];
    const second = await Promise.race([
      ended[1],
      new Promise((resolve) => setTimeout(resolve, 100, 'goes on')),
    ]);
    expect(second).toBe('goes on');
  },
);

it('a client that reads slowly gets all of it', async () => {
  const fleet = await serveFleet([{ tokens: 30_000 }], { listen: { stallTimeoutMs: 1_000 } });
  const socket = await deafClient(fleet.url);
  let text = '';
  socket.on('data', (piece: Buffer) => {
    text = (text + piece.toString('latin1')).slice(-100);
    socket.pause();
    setTimeout(() => socket.resume(), 5);
  });
  socket.resume();
  await eventually('it has the end', () => text.includes('[DONE]'), 30_000);
  await fleet.idle();
});

it.each([
  ['headers', 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-a'],
  [
    'a body',
    'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
  ],
])('%s that trickle in end in 408, however steadily', async (_, beginning) => {
  const fleet = await serveFleet([{}], { listen: { requestTimeoutMs: 500 } });
  const socket = connect(Number(new URL(fleet.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(beginning);
  const trickle = setInterval(() => socket.write('a'), 50);
  let reply = '';
  socket.on('data', (piece) => {
    reply += piece.toString();
  });
  socket.on('error', () => {});
  await once(socket, 'close');
  clearInterval(trickle);
  expect(reply).toMatch(/^HTTP\/1\.1 408 /);
  expect(fleet.fakes[0]?.requests).toHaveLength(0);
  await fleet.idle();
});
