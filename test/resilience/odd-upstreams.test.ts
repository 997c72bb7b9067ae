import type { Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { pour, rawUpstream } from '../upstream/harness.ts';
import { type Answer, type AskOptions, isWhole, type ServedFleet, serveUpstreams } from './fleet.ts';

const STREAM_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n';
const JSON_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n';
const CHUNKED_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const word = (text: string, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text }, finish_reason: finish }] })}\n\n`;

/** Odd before a word of content: somebody else answers. */
const BEFORE: Record<string, (socket: Socket) => void> = {
  'resets the connection': (socket) => socket.resetAndDestroy(),
  'resets it in the middle of the headers': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-ty');
    setTimeout(() => socket.resetAndDestroy(), 10);
  },
  'takes the request and says nothing': () => {},
  'sends interim responses for ever': (socket) => pour(socket, '', 'HTTP/1.1 102 Processing\r\n\r\n'),
  'sends headers for ever': (socket) => pour(socket, 'HTTP/1.1 200 OK\r\n', `x-a: ${'a'.repeat(1_000)}\r\n`),
  'redirects elsewhere': (socket) =>
    socket.end(
      'HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n',
    ),
  'says that it switches protocols': (socket) =>
    socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n'),
  'has two lengths': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'),
  'has a length below zero': (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'),
  'has a chunk of no size': (socket) => socket.end(`${CHUNKED_HEAD}zz\r\n`),
  'sends a page': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>'),
  'sends a stream of nothing': (socket) => socket.end(STREAM_HEAD),
  'sends [DONE] and nothing else': (socket) => socket.end(`${STREAM_HEAD}data: [DONE]\n\n`),
  'sends comments and no events': (socket) => {
    socket.write(STREAM_HEAD);
    const beat = setInterval(() => socket.write(': still here\n\n'), 50);
    socket.once('close', () => clearInterval(beat));
  },
  'sends bytes that are no text': (socket) => {
    socket.write(STREAM_HEAD);
    socket.end(Buffer.from('data: \u0000\u00ff\u00fe\n\n', 'latin1'));
  },
  'sends JSON that is no object': (socket) => socket.end(`${STREAM_HEAD}data: 42\n\ndata: [DONE]\n\n`),
  'sends an error in place of a chunk': (socket) =>
    socket.end(`${STREAM_HEAD}data: {"error":{"message":"secret-host died"}}\n\ndata: [DONE]\n\n`),
  'sends an error event of its own kind': (socket) =>
    socket.end(`${STREAM_HEAD}event: error\ndata: {"error":"secret-host died"}\n\n`),
  'sends a line without an end': (socket) =>
    pour(socket, `${STREAM_HEAD}data: {"choices":[{"delta":{"content":"`, 'x'.repeat(65_536)),
};

/** The same for replies that are not streamed. */
const BEFORE_WHOLE: Record<string, (socket: Socket) => void> = {
  'says nothing and closes': (socket) => socket.end(),
  'resets in the middle': (socket) => {
    socket.write(`${JSON_HEAD}{"choices":[`);
    setTimeout(() => socket.resetAndDestroy(), 10);
  },
  'stops in the middle of its length': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"choices":'),
  'sends half an object': (socket) => socket.end(`${JSON_HEAD}{"choices":[`),
  'sends an error with status 200': (socket) =>
    socket.end(`${JSON_HEAD}{"error":{"message":"secret-host died","code":500}}`),
  'sends a vLLM error object with status 200': (socket) =>
    socket.end(`${JSON_HEAD}{"object":"error","message":"secret-host died","code":500}`),
  'sends a stream': (socket) => socket.end(`${STREAM_HEAD}${word('x', 'stop')}data: [DONE]\n\n`),
};

/** Odd after content has gone out: the client is told, and nothing is sent twice. */
const MIDWAY: Record<string, (socket: Socket) => void> = {
  'resets the connection': (socket) => socket.resetAndDestroy(),
  'closes it': (socket) => socket.end(),
  'says nothing more': () => {},
  'sends what is not JSON': (socket) => void socket.write('data: {"choices":[{\n\n'),
  'sends an error': (socket) => void socket.write('data: {"error":{"message":"secret-host died"}}\n\n'),
  'sends a line of 50 MB': (socket) => pour(socket, 'data: "', 'x'.repeat(65_536)),
};

/** Of the odd one. The good one has its time. */
const LIMITS = { firstByteMs: 400, idleMs: 400, totalMs: 1_500 };
/** The first request of all takes long where the machine is busy, and must not move on. */
const MIDWAY_LIMITS = { firstByteMs: 10_000, idleMs: 400, totalMs: 60_000 };
/** Than all that a reply may take. */
const MUCH_SHORTER_MS = 15_000;

interface Pair {
  readonly fleet: ServedFleet;
  readonly good: FakeUpstream;
  /** Answers until the odd one has been asked. */
  answers(options: AskOptions): Promise<Answer[]>;
}

async function oddBesideGood(odd: (socket: Socket) => void, timeouts = LIMITS): Promise<Pair> {
  let asked = 0;
  const url = await rawUpstream((socket) => {
    asked += 1;
    odd(socket);
  });
  const good = await startFakeUpstream();
  onTestFinished(() => good.close());
  const probe = { intervalMs: 60_000 };
  const fleet = await serveUpstreams([url, good.url], {
    upstream: { probe },
    upstreams: { a: { timeouts } },
  });
  return {
    fleet,
    good,
    async answers(options) {
      const answers: Answer[] = [];
      while (asked === 0) answers.push(await fleet.ask(options));
      return answers;
    },
  };
}

describe('an upstream that, before a word of content,', () => {
  it.each(Object.entries(BEFORE))('%s: its streams are answered by another', async (_, odd) => {
    const { fleet, good, answers } = await oddBesideGood(odd);
    const got = await answers({ stream: true });
    expect(got.filter(isWhole)).toHaveLength(got.length);
    for (const { text } of got) expect(text).not.toContain('secret-host');
    expect(good.requests).toHaveLength(got.length);
    expect(fleet.backend('b').retries).toBe(1);
    await fleet.idle();
  });

  it.each(Object.entries(BEFORE_WHOLE))('%s: its whole replies are given by another', async (_, odd) => {
    const { fleet, answers } = await oddBesideGood(odd);
    for (const { status, text } of await answers({ stream: false })) {
      expect(status).toBe(200);
      expect(JSON.parse(text).choices[0].message.content).toContain('word0');
    }
    expect(fleet.backend('b').retries).toBe(1);
    await fleet.idle();
  });
});

describe('an upstream that, in the middle of a stream,', () => {
  it.each(Object.entries(MIDWAY))('%s: the client is told within its limit, once', async (_, odd) => {
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const { fleet, good, answers } = await oddBesideGood(async (socket) => {
      socket.write(`${STREAM_HEAD}${word('one')}${word(' two')}`);
      // What breaks before anything has left is hidden.
      await arrived;
      odd(socket);
    }, MIDWAY_LIMITS);
    const rssBefore = process.memoryUsage().rss;
    const got = await answers({
      onText: (text) => {
        if (text.includes(' two')) arrive();
      },
    });
    const broken = got.pop()!;
    expect(broken.status).toBe(200);
    expect(broken.text).toContain(' two');
    expect(broken.text.match(/"error"/g)).toHaveLength(1);
    expect(broken.text).not.toContain('[DONE]');
    expect(broken.text).not.toContain('secret-host');
    expect(broken.durationMs).toBeLessThan(MUCH_SHORTER_MS);
    expect(got.filter(isWhole)).toHaveLength(got.length);
    expect(good.requests).toHaveLength(got.length);
    expect(fleet.model().retries).toBe(0);
    expect(process.memoryUsage().rss - rssBefore).toBeLessThan(40e6);
    await fleet.idle();
  });
});
